// Package lint: what is left out of Grafana's dashboard linter so that it can be built (see linter.py). Neither part has
// to do with our dashboards: the reader of schema v2, and the rules for Loki's queries.
package lint

import (
	"encoding/json"
	"errors"
)

func isV2APIVersion(string) bool { return false }

func newDashboardFromV2(json.RawMessage, string) (Dashboard, error) {
	return Dashboard{}, errors.New("this linter was built without schema v2")
}

func parseLogQL(string, []Template) (any, error) {
	return nil, errors.New("this linter was built without LogQL")
}

func NewTargetLogQLAutoRule() *TargetRuleFunc {
	return &TargetRuleFunc{
		name: "target-logql-auto-rule",
		fn:   func(Dashboard, Panel, Target) TargetRuleResults { return TargetRuleResults{} },
	}
}
