"""Are values that cannot be refused, all that is wrong at once, in words that tell what to do?"""

from __future__ import annotations

import re

import pytest

from tests.chart import rendered

URL = "config: {clusters: [{url: 'http://jobmanager:8081'}]}\n"


def refused(values: str) -> list[str]:
    """What the chart says, without what Helm says around it."""
    with pytest.raises(rendered.Refused) as told:
        rendered.of_yaml(values)
    text = str(told.value).partition("\n\nUse --debug")[0]
    if "values don't meet the specifications of the schema" in text:
        return [line.removeprefix("- at ") for line in text.splitlines() if line.startswith("- at ")]
    return re.sub(r"^Error: execution error at \([^)]*\): ", "", text).splitlines()


@pytest.mark.parametrize(
    ("values", "told"),
    [
        pytest.param(
            "{}",
            "config.clusters: where is Flink? For example: --set config.clusters[0].url=http://jobmanager:8081",
            id="nothing is said",
        ),
        pytest.param(
            "config: {clusters: [{name: orders}]}",
            "config.clusters[0].url: where is this cluster? For example: http://jobmanager:8081",
            id="a cluster that is nowhere",
        ),
        pytest.param(
            "config: {clusters: [{url: 'http://a', basic_auth: {username: u, password: hunter2}}]}",
            "config.clusters[0].basic_auth.password: a ConfigMap is no place for a secret: list a Secret in secrets, "
            "and name its file in password_file, /run/secrets/NAME/KEY",
            id="a password in a ConfigMap",
        ),
        pytest.param(
            "config: {clusters: [{url: 'http://a'}, {name: b, url: 'http://b', bearer_token: hunter2}]}",
            "config.clusters[1].bearer_token: a ConfigMap is no place for a secret: list a Secret in secrets, "
            "and name its file in bearer_token_file, /run/secrets/NAME/KEY",
            id="a token in a ConfigMap",
        ),
        pytest.param(
            "config: {clusters: [{url: 'http://a', headers: {X-Api-Key: hunter2}}]}",
            "config.clusters[0].headers.X-Api-Key: a ConfigMap is no place for a secret: put the whole configuration "
            "into a Secret, and name it in existingConfig.secret",
            id="a header with a secret in a ConfigMap",
        ),
        pytest.param(
            "config: {clusters: [{url: 'http://a'}], web: {listen_address: ':80'}}",
            "config.web.listen_address: the exporter listens on port 9449 of its pod; service.port is the one that "
            "others see",
            id="a port that nothing would find",
        ),
        pytest.param(
            URL + "existingConfig: {secret: a}",
            "config, existingConfig.configMap, existingConfig.secret: only one of them may be given",
            id="a configuration of each kind",
        ),
        pytest.param(
            "existingConfig: {secret: a, configMap: b}",
            "config, existingConfig.configMap, existingConfig.secret: only one of them may be given",
            id="two that are there already",
        ),
        pytest.param(
            URL + "prometheusRule: {enabled: true, content: 'a: b'}",
            "prometheusRule.content: expected a file of Prometheus rules, which begins with groups:",
            id="rules that are none",
        ),
        pytest.param("confg: {}", "'': additional properties 'confg' not allowed", id="a key that is misspelt"),
        pytest.param("replicas: 2", "'': additional properties 'replicas' not allowed", id="a second replica"),
        pytest.param(
            "config: {clusters: [{ulr: 'http://a'}]}",
            "'/config/clusters/0': additional properties 'ulr' not allowed",
            id="a key of the exporter that is misspelt",
        ),
        pytest.param(
            "config: {log: {level: loud}}",
            "'/config/log/level': value must be one of 'debug', 'info', 'warn', 'error'",
            id="a word of the exporter that is none",
        ),
        pytest.param(
            "config: {clusters: {url: 'http://a'}}",
            "'/config/clusters': got object, want array",
            id="a list that is none",
        ),
        pytest.param(
            "service: {port: 99999}", "'/service/port': maximum: got 99,999, want 65,535", id="a port that is none"
        ),
        pytest.param(
            "serviceMonitor: {enabled: 'yes'}",
            "'/serviceMonitor/enabled': got string, want boolean",
            id="text for a truth",
        ),
        pytest.param(
            "serviceMonitor: {interval: 15 parsecs}",
            "'/serviceMonitor/interval': '15 parsecs' does not match pattern '^([0-9]+(ms|[smhdwy]))+$'",
            id="a duration that is none",
        ),
        pytest.param(
            "podDisruptionBudget: {maxUnavailable: 50%}",
            "'/podDisruptionBudget/maxUnavailable': value must be one of 0, 1",
            id="a half of one pod",
        ),
        pytest.param(
            "image: {digest: latest}",
            "'/image/digest': 'latest' does not match pattern '^(sha256:[0-9a-f]{64})?$'",
            id="a digest that is none",
        ),
        pytest.param("secrets: [{name: a}]", "'/secrets/0': got object, want string", id="a Secret as a mapping"),
        pytest.param("secrets: [a, a]", "'/secrets': items at 0 and 1 are equal", id="a Secret twice"),
        pytest.param(
            "podAnnotations: {a: true}",
            "'/podAnnotations/a': got boolean, want string",
            id="an annotation that Kubernetes would refuse",
        ),
        pytest.param(
            "livenessProbe: {httpGet: {path: /}}",
            "'/livenessProbe': additional properties 'httpGet' not allowed",
            id="a probe of something else",
        ),
    ],
)
def test_it_is_refused(values: str, told: str) -> None:
    assert refused(values) == [told]


def test_an_alert_that_does_not_exist_cannot_be_left_out() -> None:
    (told,) = refused(URL + "prometheusRule: {enabled: true, disabled: [FlinkSkwe]}")
    assert told.startswith(
        'prometheusRule.disabled: there is no alert "FlinkSkwe"; alerts are FlinkClusterUnreachable, '
    )


def test_all_is_told_at_once() -> None:
    """And nothing of it shows the secret."""
    several = "config: {clusters: [{name: a, bearer_token: hunter2}, {name: b}], web: {listen_address: ':80'}}"
    told = refused(several)
    assert [line.partition(": ")[0] for line in told] == [
        *("config.clusters[0].url", "config.clusters[0].bearer_token", "config.clusters[1].url"),
        "config.web.listen_address",
    ]
    assert "hunter2" not in "".join(told)
    assert len(refused("confg: {}\nservice: {port: x}")) == 2
