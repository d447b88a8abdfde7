"""Do the chart's objects do what is said of them?"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import yaml
from aiohttp import web

from exporter import __version__, cli
from tests.chart import rendered
from tests.chart.generate import CHART, ROOT, RULES
from tests.chart.rendered import SETS, Object, container, every, hook, of, of_yaml, one, pod
from tests.promtool import promtool

ONE = "config: {clusters: [{url: 'http://jobmanager:8081'}]}\n"
PODS = [pytest.param(values, kind, id=f"{values}: {kind}") for values in SETS for kind in ("exporter", "test")]


# ---- The configuration


@pytest.mark.parametrize("values", [values for values in SETS if not values.startswith("existing")])
def test_the_exporter_takes_its_configuration(values: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The very file that the pod reads, with the mounted files where this machine can have them."""
    objects = of(values)
    text: str = every(objects, "ConfigMap")[0]["data"]["exporter.yml"]
    for path in re.findall(r"/run/(?:secrets|configmaps)/\S+", text):
        assert any(Path(path).is_relative_to(mount["mountPath"]) for mount in container(objects)["volumeMounts"])
        (tmp_path / path[1:]).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path[1:]).write_text("only its presence is checked")
    (tmp_path / "exporter.yml").write_text(text.replace(" /run/", f" {tmp_path}/run/"))
    assert cli.main(["check-config", str(tmp_path / "exporter.yml")]) == 0, capsys.readouterr().err
    given = yaml.safe_load((CHART / f"ci/{values}-values.yaml").read_text())["config"]
    assert yaml.safe_load(text) == given


def test_the_exporter_knows_its_flags() -> None:
    options = cli._parse(container(of("default"))["args"])
    assert (str(options.file), options.listen) == ("/etc/flink-health-exporter/exporter.yml", ":9449")


def test_another_configuration_is_another_pod() -> None:
    same = pod(of_yaml(ONE))
    assert same == pod(of_yaml(ONE))
    assert same != pod(of_yaml(ONE, "--set", "config.interval=30s"))
    assert same == pod(of_yaml(ONE, "--set", "service.port=80"))


@pytest.mark.parametrize(
    ("values", "volume"),
    [
        (
            "existing-configmap",
            {"configMap": {"name": "flink-health", "items": [{"key": "health.yaml", "path": "exporter.yml"}]}},
        ),
        (
            "existing-secret",
            {
                "secret": {
                    "secretName": "flink-health",
                    "defaultMode": 0o440,
                    "items": [{"key": "exporter.yml", "path": "exporter.yml"}],
                }
            },
        ),
    ],
)
def test_a_configuration_of_somebody_else_is_mounted_and_none_is_made(values: str, volume: Object) -> None:
    objects = of(values)
    assert every(objects, "ConfigMap") == []
    assert pod(objects)["spec"]["volumes"][0] == {"name": "config", **volume}


def test_secrets_are_mounted_for_the_group_and_nobody_else() -> None:
    spec = pod(of("secrets-and-tls"))["spec"]
    secrets = [volume["secret"] for volume in spec["volumes"] if "secret" in volume]
    assert secrets == [{"secretName": name, "defaultMode": 0o440} for name in ("orders-rest", "payments-rest")]
    assert spec["securityContext"]["fsGroup"] == 65532
    assert all(mount["readOnly"] for mount in container(of("secrets-and-tls"))["volumeMounts"])


def test_the_chart_is_of_this_version() -> None:
    assert yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"] == __version__
    assert container(of("default"))["image"].endswith(f":{__version__}")


def test_a_digest_counts_for_more_than_a_tag() -> None:
    assert container(of("hardened"))["image"].endswith(f"/flink-health-exporter@sha256:{'0' * 64}")


# ---- Rights


@pytest.mark.parametrize(("values", "kind"), PODS)
def test_a_pod_is_what_the_restricted_standard_admits(values: str, kind: str) -> None:
    """Pod Security Standards, restricted, and more: no token, nothing to write to."""
    objects = of(values)
    spec = pod(objects)["spec"] if kind == "exporter" else hook(objects)["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
    for each in spec["containers"]:
        assert each["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert each["resources"]["limits"]["memory"]
    assert all({"secret", "configMap"} & volume.keys() for volume in spec.get("volumes", []))


def test_the_user_is_that_of_the_image() -> None:
    user = re.search(r"^USER (\d+):(\d+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert user is not None
    context = pod(of("default"))["spec"]["securityContext"]
    assert (context["runAsUser"], context["runAsGroup"]) == tuple(map(int, user.groups()))


def test_ids_are_left_to_the_platform_where_null_says_so() -> None:
    context = pod(of("placed"))["spec"]["securityContext"]
    assert context == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}


def test_there_are_no_rights_in_kubernetes() -> None:
    kinds = {found["kind"] for values in SETS for found in of(values)}
    assert kinds == {
        *("ConfigMap", "Deployment", "NetworkPolicy", "Pod", "PodDisruptionBudget", "PrometheusRule"),
        *("Service", "ServiceAccount", "ServiceMonitor"),
    }
    assert one(of("default"), "ServiceAccount")["automountServiceAccountToken"] is False
    assert every(of("placed"), "ServiceAccount") == []
    assert pod(of("placed"))["spec"]["serviceAccountName"] == "shared"


# ---- What finds what


@pytest.mark.parametrize("values", SETS)
def test_selectors_find_the_pod_and_not_that_of_the_test(values: str) -> None:
    objects = of(values)
    selectors = [
        one(objects, "Deployment")["spec"]["selector"]["matchLabels"],
        one(objects, "Service")["spec"]["selector"],
        *(found["spec"]["selector"]["matchLabels"] for found in every(objects, "PodDisruptionBudget")),
        *(found["spec"]["podSelector"]["matchLabels"] for found in every(objects, "NetworkPolicy")),
    ]
    for selector in selectors:
        assert selector.items() <= pod(objects)["metadata"]["labels"].items()
        assert not selector.items() <= hook(objects)["metadata"]["labels"].items()


def test_the_service_monitor_finds_the_service() -> None:
    objects = of("monitoring")
    service, monitor = one(objects, "Service"), one(objects, "ServiceMonitor")["spec"]
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert monitor["namespaceSelector"]["matchNames"] == ["monitoring"]
    assert [endpoint["port"] for endpoint in monitor["endpoints"]] == [service["spec"]["ports"][0]["name"]]
    assert service["spec"]["ports"][0]["targetPort"] == container(objects)["ports"][0]["name"]
    assert container(objects)["ports"][0]["containerPort"] == 9449


def test_the_label_cluster_stays_that_of_the_exporter() -> None:
    assert one(of("monitoring"), "ServiceMonitor")["spec"]["endpoints"][0]["honorLabels"] is True


@pytest.mark.parametrize("values", SETS)
def test_every_object_has_the_recommended_labels(values: str) -> None:
    recommended = {*("name", "instance", "version", "component", "part-of", "managed-by")}
    for found in of(values):
        assert {f"app.kubernetes.io/{label}" for label in recommended} <= found["metadata"]["labels"].keys()


def test_labels_of_ones_own_are_added_and_do_not_replace_the_charts() -> None:
    objects = of_yaml(ONE, "--set", "commonLabels.app\\.kubernetes\\.io/name=mine,commonLabels.team=streaming")
    for found in objects:
        assert found["metadata"]["labels"]["team"] == "streaming"
        assert found["metadata"]["labels"]["app.kubernetes.io/name"].startswith("flink-health-exporter")


def test_a_release_that_is_called_like_the_chart_does_not_say_so_twice() -> None:
    named = ("template", "flink-health-exporter", str(CHART), "--kube-version", rendered.NEWEST, "-f", "-")
    text = rendered.helm(*named, given=ONE)
    assert "flink-health-exporter-flink-health-exporter" not in text


def test_names_are_never_too_long() -> None:
    names = {found["metadata"]["name"] for found in of_yaml(ONE, "--set", f"fullnameOverride={'x' * 63}")}
    assert max(map(len, names)) == 63


# ---- Network


def test_only_who_is_named_may_scrape_and_the_test_may() -> None:
    policy = one(of("hardened"), "NetworkPolicy")["spec"]
    (rule,) = policy["ingress"]
    monitoring, test = rule["from"]
    assert monitoring["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "monitoring"}
    assert test["podSelector"]["matchLabels"].items() <= hook(of("hardened"))["metadata"]["labels"].items()
    assert rule["ports"] == [{"port": "http-metrics", "protocol": "TCP"}]


def test_names_are_still_resolved_where_the_way_out_is_closed() -> None:
    policy = one(of("hardened"), "NetworkPolicy")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert [port["port"] for port in policy["egress"][0]["ports"]] == [53, 53]
    assert [port["port"] for port in policy["egress"][1]["ports"]] == [8081, 9249]


def test_the_way_out_is_open_where_nothing_is_said_of_it() -> None:
    policy = one(of_yaml(ONE, "--set", "networkPolicy.enabled=true"), "NetworkPolicy")["spec"]
    assert policy["policyTypes"] == ["Ingress"]
    assert policy["ingress"] == [{"ports": [{"port": "http-metrics", "protocol": "TCP"}]}]


# ---- Alerts and dashboards


def rules(objects: list[Object]) -> list[Object]:
    return [rule for group in one(objects, "PrometheusRule")["spec"]["groups"] for rule in group["rules"]]


def test_the_rules_are_those_of_the_repository_to_the_letter() -> None:
    objects = of_yaml(ONE, "--set", "prometheusRule.enabled=true")
    files = [yaml.safe_load((ROOT / f"config/rules/{name}.yml").read_text()) for name in RULES]
    assert one(objects, "PrometheusRule")["spec"] == {"groups": [group for file in files for group in file["groups"]]}
    assert any("{{ $" in rule["annotations"]["summary"] for rule in rules(objects) if "alert" in rule)


@pytest.mark.parametrize("name", RULES[1:])
def test_the_other_files_can_be_left_out(name: str) -> None:
    groups = yaml.safe_load((ROOT / f"config/rules/{name}.yml").read_text())["groups"]
    options = ("--set", "prometheusRule.enabled=true", "--set", f"prometheusRule.{name}=false")
    left = {group["name"] for group in one(of_yaml(ONE, *options), "PrometheusRule")["spec"]["groups"]}
    assert left
    assert not left & {group["name"] for group in groups}


def test_alerts_are_left_out_by_name_and_labelled() -> None:
    whole = rules(of_yaml(ONE, "--set", "prometheusRule.enabled=true"))
    some = rules(of("monitoring"))
    assert {rule.get("alert") for rule in whole} - {rule.get("alert") for rule in some} == {"FlinkSkew"}
    assert {rule["labels"]["team"] for rule in some if "alert" in rule} == {"streaming"}
    # The symptom's own severity stays.
    assert {rule["labels"]["severity"] for rule in some if "alert" in rule} == {"warning", "critical"}
    assert not any("labels" in rule for rule in some if "record" in rule)


def test_rules_of_ones_own_stand_in_their_place(tmp_path: Path) -> None:
    own = "groups:\n  - name: mine\n    rules:\n      - {record: a, expr: b}\n      - {alert: C, expr: '{{d}}'}\n"
    (tmp_path / "own.yml").write_text(own)
    options = "prometheusRule.enabled=true,prometheusRule.alertLabels.team=x"
    alone = "prometheusRule.exporter=false,prometheusRule.recording=false"
    content = f"prometheusRule.content={tmp_path / 'own.yml'}"
    objects = of_yaml(ONE, "--set", options, "--set", alone, "--set-file", content)
    assert rules(objects) == [{"record": "a", "expr": "b"}, {"alert": "C", "expr": "{{d}}", "labels": {"team": "x"}}]


def test_prometheus_takes_the_rules(tmp_path: Path) -> None:
    path = tmp_path / "alerts.yml"
    path.write_text(yaml.safe_dump(one(of("monitoring"), "PrometheusRule")["spec"]))
    promtool("check", "rules", path)


def test_there_is_a_config_map_for_each_dashboard() -> None:
    made = {path.name: path.read_text() for path in (ROOT / "grafana").glob("*.json")}
    found = [each for each in every(of("monitoring"), "ConfigMap") if "grafana_dashboard" in each["metadata"]["labels"]]
    assert {name: text for each in found for name, text in each["data"].items()} == made
    assert {each["metadata"]["annotations"]["grafana_folder"] for each in found} <= {"Streaming"}
    # What etcd takes of one object.
    assert max(map(len, made.values()), default=0) < 1_000_000


def test_nothing_needs_the_operator_unless_it_is_asked_for() -> None:
    assert {found["apiVersion"] for found in of("default")} == {"v1", "apps/v1"}


# ---- What is said after an installation


def notes(tmp_path: Path, values: str) -> str:
    """NOTES.txt, which Helm shows of itself only where there is a cluster."""
    copy = shutil.copytree(CHART, tmp_path / "chart")
    (copy / "templates/notes.yaml").write_text(
        'notes: |\n  {{- include (print $.Template.BasePath "/NOTES.txt") . | nindent 2 }}\n'
    )
    named = ("template", "health", str(copy), "-n", "monitoring", "--kube-version", rendered.NEWEST, "-f", "-")
    text: str = yaml.safe_load(rendered.helm(*named, "-s", "templates/notes.yaml", given=values))["notes"]
    return text


def test_one_is_told_what_is_read_and_how_to_look_at_it(tmp_path: Path) -> None:
    said = notes(tmp_path, ONE)
    assert said.startswith("flink-health-exporter reads:\n  default  http://jobmanager:8081\n")
    assert "port-forward service/health-flink-health-exporter 9449:9449\n" in said
    assert 'targets: ["health-flink-health-exporter.monitoring:9449"]' in said
    assert "config.symptoms" not in said


def test_one_is_told_that_somebody_elses_configuration_is_not_followed(tmp_path: Path) -> None:
    said = notes(tmp_path, "existingConfig: {secret: mine}\nserviceMonitor: {enabled: true}")
    assert "the clusters in the Secret mine." in said
    assert "rollout restart deployment/health-flink-health-exporter" in said
    assert "Nothing scrapes it yet" not in said


def test_one_is_told_that_alerts_do_not_follow_other_thresholds(tmp_path: Path) -> None:
    own = "config: {clusters: [{url: 'http://a'}], symptoms: {patience: 2}}\nprometheusRule: {enabled: true}\n"
    said = notes(tmp_path, own)
    command = "flink-health-exporter rules --config.file /etc/flink-health-exporter/exporter.yml"
    assert command in said
    assert cli._parse(command.split()[1:]).file == Path("/etc/flink-health-exporter/exporter.yml")


# ---- helm test


async def run_hook(replies: Mapping[str, Callable[[], web.Response]]) -> tuple[int | None, str]:
    """The exit code of the hook's very script against a server with these replies, and what it says."""

    async def handle(request: web.Request) -> web.Response:
        return replies[request.path]()

    app = web.Application()
    app.router.add_get("/{_:.*}", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        (address,) = runner.addresses
        (pod,) = hook(of("default"))["spec"]["containers"]
        env = {**os.environ, "URL": f"http://127.0.0.1:{address[1]}"}
        assert pod["command"][0] == "python"
        process = await asyncio.create_subprocess_exec(
            sys.executable, *pod["command"][1:], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        told, _ = await process.communicate()
        return process.returncode, told.decode()
    finally:
        await runner.cleanup()


async def test_the_hook_waits_until_the_exporter_is_ready_and_reads_it() -> None:
    first = iter([web.Response(status=503, text="not ready\n"), web.Response(text="ready\n")])
    line = 'flink_health_cluster_up{cluster="default"} 1.0\n'
    done = await run_hook({"/-/ready": lambda: next(first), "/metrics": lambda: web.Response(text=f"# HELP\n{line}")})
    assert done == (0, f"ready\n{line}")


async def test_the_hook_fails_where_nothing_is_said_of_any_cluster() -> None:
    code, told = await run_hook({"/-/ready": web.Response, "/metrics": web.Response})
    assert code == 1
    assert told.endswith("/metrics: says nothing of any cluster\n")


def test_the_hook_asks_the_service() -> None:
    objects = of("placed")
    service = one(objects, "Service")
    (pod,) = hook(objects)["spec"]["containers"]
    port = service["spec"]["ports"][0]["port"]
    assert pod["env"] == [{"name": "URL", "value": f"http://{service['metadata']['name']}.monitoring:{port}"}]
    assert pod["image"] == container(objects)["image"]
