//! The table of rules.

use super::{Remark, Severity, Subject, budget, misread, probes, start};

/// One rule.
pub(super) struct Rule {
    /// Its id.
    pub(super) id: &'static str,
    /// How bad its findings are.
    pub(super) severity: Severity,
    /// What it is about, in one sentence.
    pub(super) summary: &'static str,
    /// A public case that shows why it is worth a rule.
    pub(super) case: &'static str,
    /// Its findings on one container.
    pub(super) check: fn(&Subject<'_>) -> Vec<Remark>,
}

/// All rules, in the order in which they are reported.
pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "budget-zero",
        severity: Severity::Error,
        summary: "The probe that guards the start guarantees it 0 s: its first failed attempt kills.",
        case: "prometheus-operator, maximumStartupDurationSeconds 60: failureThreshold 1, periodSeconds 60 (openshift/cluster-monitoring-operator#2251)",
        check: budget::zero,
    },
    Rule {
        id: "budget-misread",
        severity: Severity::Warning,
        summary: "A comment or an annotation states D + F x P as the budget; the kubelet may kill after D + (F - 1) x P.",
        case: "influxdata/helm-charts#827 (160 s stated, 155 s real), external-secrets chart, crossplane/crossplane#4861",
        check: misread::stated_too_long,
    },
    Rule {
        id: "budget-over-progress-deadline",
        severity: Severity::Warning,
        summary: "The startup budget is longer than the Deployment's progressDeadlineSeconds: rollouts are reported as failed while the start is still allowed.",
        case: "rook OSD Deployments, failureThreshold 720 x 10 s; volsync#757, kube-agents#796",
        check: budget::over_progress_deadline,
    },
    Rule {
        id: "budget-over-helm-timeout",
        severity: Severity::Warning,
        summary: "The startup budget is longer than the stated timeout of helm --wait.",
        case: "influxdata/helm-charts#827: 925 s against the 5 min default of helm",
        check: budget::over_helm_timeout,
    },
    Rule {
        id: "startup-no-gain",
        severity: Severity::Warning,
        summary: "The startup probe is no more generous than the liveness probe it stands in for.",
        case: "sealed-secrets and kube-state-metrics charts: startupProbe enabled with the defaults, 3 x 10 s",
        check: start::no_gain,
    },
    Rule {
        id: "startup-tcp",
        severity: Severity::Warning,
        summary: "A tcpSocket startup probe passes as soon as the port is bound, which may be long before the work is done.",
        case: "crossplane core: startupProbe tcpSocket 8081 (crossplane/crossplane#4861); controller-runtime binds its health port before the caches are filled",
        check: start::tcp_socket,
    },
    Rule {
        id: "liveness-loosened",
        severity: Severity::Warning,
        summary: "Liveness is loosened to let a slow start through; a startup probe would leave it sharp.",
        case: "Mellanox/network-operator#166 (delay 570 s), net-kourier#1120 (delay 600 s), akash#272 (delay 240 s)",
        check: start::liveness_loosened,
    },
    Rule {
        id: "delay-tax",
        severity: Severity::Note,
        summary: "A long initialDelaySeconds delays every start, on small clusters too.",
        case: "azure-service-operator#4791: 60 s delay, idle for 45 s of them; kiali#10132, contour#5803",
        check: start::delay_tax,
    },
    Rule {
        id: "liveness-threshold-one",
        severity: Severity::Warning,
        summary: "A single failed attempt restarts the container.",
        case: "akash provider 240/30/30/1, kubevirt HCO#1325, gardener#15636; kubernetes/kubernetes#141155 since 1.35",
        check: probes::threshold_one,
    },
    Rule {
        id: "liveness-on-readiness",
        severity: Severity::Warning,
        summary: "Liveness asks an endpoint that says whether the container can serve, or whether what it depends on is there: a restart mends neither.",
        case: "loki-stack chart /ready (grafana/loki#24396, 666 restarts), kube-state-metrics /livez, Argo CD ?full=true",
        check: probes::on_readiness_endpoint,
    },
    Rule {
        id: "timeout-reaches-period",
        severity: Severity::Note,
        summary: "timeoutSeconds is not below periodSeconds: attempts on a hanging container run end to end.",
        case: "aws-load-balancer-controller 30/10/10/2, karpenter 30/10/30/3",
        check: probes::timeout_reaches_period,
    },
    Rule {
        id: "timeout-implicit",
        severity: Severity::Note,
        summary: "timeoutSeconds is not given, so an answer slower than 1 s is a failure.",
        case: "aws-vpc-cni#1425, linkerd2#12895, NVIDIA/OSMO#961",
        check: probes::implicit_timeout,
    },
    Rule {
        id: "detection-slow",
        severity: Severity::Warning,
        summary: "A hang of the healthy container may go unnoticed for more than ten minutes.",
        case: "prometheus-operator#3391: failureThreshold 1000 x 5 s, 83 min blind; thanos-manifests#13: 100 x 20 s",
        check: probes::slow_detection,
    },
];
