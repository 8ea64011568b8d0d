//! Rules that follow from the verdict: one for each cause that something can be done about.

use probepilot_kubelet::{StartGuard, Timings};

use super::{AdviceRule, Facts};
use crate::catalogue;
use crate::evidence::{Answer, StartupErrorKind};
use crate::verdict::{HowKnown, Undecided, Why};

pub(super) const STARTUP_BUDGET: AdviceRule = AdviceRule {
    id: "startup-budget",
    threshold: "verdict StartupKill",
    data: "the length of the life and the pod's own probes",
    citation: "kubernetes-sigs/aws-load-balancer-controller#3902",
    check: |facts| {
        let Why::StartupKill(kill) = &facts.diagnosis.why else {
            return None;
        };
        let (StartGuard::Startup(timings) | StartGuard::Liveness(timings)) = facts.view.guard()
        else {
            return None;
        };
        let lived = facts.view.last_life.as_ref()?.length().as_secs();
        let lived = u32::try_from(lived.max(1)).unwrap_or(u32::MAX);
        let need = lived.max(timings.budget_seconds()).saturating_mul(2);
        let sure = match kill.known {
            HowKnown::Length(_) => "Probably it needs",
            HowKnown::Event { .. } | HowKnown::EarlierEvent { .. } => "It needs",
        };
        Some(format!(
            "{sure} more time to start: its probes guarantee {} s. {} A ProbePolicy for this workload does so by itself and keeps up with the cluster.",
            timings.budget_seconds(),
            longer(facts, timings, need)
        ))
    },
};

/// How to give the start `need` seconds.
fn longer(facts: &Facts<'_>, timings: Timings, need: u32) -> String {
    if facts.view.startup.is_some() {
        let rest = need.saturating_sub(timings.initial_delay_seconds);
        let threshold = rest
            .div_ceil(timings.period_seconds.max(1))
            .saturating_add(1);
        return format!("Set startupProbe.failureThreshold to {threshold}, which gives {need} s.");
    }
    let period = timings.period_seconds.clamp(1, 10);
    let threshold = need.div_ceil(period).saturating_add(1);
    format!(
        "Add a startupProbe with the handler of its livenessProbe, periodSeconds {period}, timeoutSeconds {} and failureThreshold {threshold}, which gives {need} s.",
        timings.timeout_seconds
    )
}

/// Whether a container that was killed long after its start had not answered in time; `None` where it
/// was not killed so.
fn steady_timed_out(facts: &Facts<'_>) -> Option<bool> {
    let Why::SteadyStateKill(kill) = &facts.diagnosis.why else {
        return None;
    };
    let complaint = kill.complaint.as_ref();
    Some(complaint.is_some_and(|complaint| complaint.answer == Answer::TimedOut))
}

pub(super) const STEADY_TIMEOUT: AdviceRule = AdviceRule {
    id: "steady-timeout",
    threshold: "verdict SteadyStateKill, and the probe last got no answer in time",
    data: "Unhealthy events of the pod",
    citation: "gardener/gardener#15636, aws/amazon-vpc-cni-k8s#1425",
    check: |facts| {
        let liveness = facts.view.liveness?;
        steady_timed_out(facts)?.then(|| {
            format!(
                "A longer startup budget changes nothing: it was killed after its start, because it did not answer in time. Raise livenessProbe.timeoutSeconds (now {}) or give it more CPU; if it hangs for good, the kill is right.",
                liveness.timeout_seconds
            )
        })
    },
};

pub(super) const STEADY_HANG: AdviceRule = AdviceRule {
    id: "steady-hang",
    threshold: "verdict SteadyStateKill, and not for want of an answer in time",
    data: "Unhealthy events of the pod, where there are any",
    citation: "kubernetes/autoscaler#1800",
    check: |facts| {
        (!steady_timed_out(facts)?).then(|| {
            "A longer startup budget changes nothing: it was killed after its start. Look for what stopped its health endpoint from answering: its last words, its dependencies, its CPU.".to_owned()
        })
    },
};

pub(super) const UNGUARDED_START: AdviceRule = AdviceRule {
    id: "unguarded-start",
    threshold: "verdict Unknown, because liveness killed it and may never have been answered behind a startup probe",
    data: "Killing events, the pod's own probes, what was seen of the start",
    citation: "kubernetes/kubernetes#142305, kubernetes/kubernetes#141155",
    check: |facts| {
        let Why::Unknown(Undecided::Unguarded(_)) = &facts.diagnosis.why else {
            return None;
        };
        let budget = facts.view.guard().budget_seconds()?;
        Some(format!(
            "A longer startup budget changes nothing. A kubelet (1.35 and newer) that restarts takes a starting container for started, so liveness kills it once; drain a node before its kubelet is restarted. livenessProbe.initialDelaySeconds {budget} guards the start in that case too, at the price of noticing a hang in that time late."
        ))
    },
};

pub(super) const HANDLER_DRIFT: AdviceRule = AdviceRule {
    id: "handler-drift",
    threshold: "verdict HandlerDrift",
    data: "the pod's own probes, and the record that probepilot left on the workload",
    citation: "design: the handler of an added startup probe follows liveness",
    check: |facts| {
        let Why::HandlerDrift { liveness, .. } = &facts.diagnosis.why else {
            return None;
        };
        Some(format!(
            "Let the startupProbe ask what liveness asks: {liveness}. The operator corrects it at once when it runs and may write."
        ))
    },
};

pub(super) const WRONG_PROBE: AdviceRule = AdviceRule {
    id: "wrong-probe",
    threshold: "verdict ProbeNeverSucceeds",
    data: "Unhealthy events, the program's last words, the pod's own probes",
    citation: "sockudo/sockudo#273, kubernetes-sigs/aws-load-balancer-controller#451",
    check: |facts| {
        let Why::ProbeNeverSucceeds { kill, .. } = &facts.diagnosis.why else {
            return None;
        };
        let handler = facts.view.handler(kill.probe)?;
        Some(format!(
            "No budget is long enough. Correct what the probe asks ({handler}): path, port, scheme, credentials or command."
        ))
    },
};

pub(super) const OUT_OF_MEMORY: AdviceRule = AdviceRule {
    id: "out-of-memory",
    threshold: "verdict OutOfMemory",
    data: "the runtime's reason and the container's limit",
    citation: "mitodl/ol-infrastructure#5326",
    check: |facts| {
        let Why::OutOfMemory { limit } = &facts.diagnosis.why else {
            return None;
        };
        Some(match limit {
            Some(limit) => format!(
                "Raise its memory limit (now {limit}), or let it hold less: narrow what it watches. No probe change helps."
            ),
            None => "Give it a memory request that fits what it uses, so that it lands on a node with room for it. No probe change helps.".to_owned(),
        })
    },
};

pub(super) const SYNC_TIMEOUT: AdviceRule = AdviceRule {
    id: "sync-timeout",
    threshold: "verdict SyncTimeout",
    data: "the catalogue of controllers, by image",
    citation: "kubernetes-sigs/aws-load-balancer-controller#4855, cloudnativelabs/kube-router#2151",
    check: |facts| {
        let clock_in_window = matches!(
            facts.diagnosis.why,
            Why::Unknown(Undecided::OwnTimeoutInWindow { .. })
        );
        if !clock_in_window && !matches!(facts.diagnosis.why, Why::SyncTimeout(_)) {
            return None;
        }
        let knob =
            catalogue::find(&facts.view.image).and_then(|controller| controller.timeout_knob);
        let first = if clock_in_window {
            "If its own timeout ended it, no probe change helps; its last words tell (terminationMessagePolicy FallbackToLogsOnError keeps them)."
        } else {
            "No probe change helps: it gives up by itself."
        };
        Some(match knob {
            Some(knob) => format!("{first} Raise its own timeout: {knob}."),
            None => format!(
                "{first} Raise its own timeout, where it has a setting (controller-runtime programs: CacheSyncTimeout), or let it watch less."
            ),
        })
    },
};

pub(super) const LEADER_LOST: AdviceRule = AdviceRule {
    id: "leader-lost",
    threshold: "verdict LeaderLost",
    data: "the program's last words",
    citation: "aws/aws-app-mesh-controller-for-k8s#260, cloudnative-pg/cloudnative-pg#9659",
    check: |facts| {
        matches!(facts.diagnosis.why, Why::LeaderLost { .. }).then(|| {
            "No probe change helps: it could not renew its Lease in time. Look at the API server's latency and the container's CPU first, then at its lease duration and renew deadline.".to_owned()
        })
    },
};

pub(super) const STARTUP_ERROR: AdviceRule = AdviceRule {
    id: "startup-error",
    threshold: "verdict StartupError",
    data: "the program's last words and the pod's own probes",
    citation: "openkruise/kruise#793, cert-manager/cert-manager#1516",
    check: |facts| {
        let Why::StartupError(error) = &facts.diagnosis.why else {
            return None;
        };
        let what = match error.kind {
            StartupErrorKind::Forbidden => "Grant the right that it names to its ServiceAccount.",
            StartupErrorKind::MissingKind => {
                "Install the custom resource definition that it names."
            }
            StartupErrorKind::Certificate => {
                "Look at the Secret with its certificate: it is missing, not yet written, or not valid."
            }
            StartupErrorKind::Flag => "Correct the flag or the configuration that it names.",
            StartupErrorKind::Port => "Give the port to one of the two that want it.",
            StartupErrorKind::Unsaid => {
                "Read its log (kubectl logs --previous); terminationMessagePolicy FallbackToLogsOnError keeps the end of it in the status."
            }
        };
        Some(format!("No probe change helps: it ends by itself. {what}"))
    },
};

pub(super) const NOT_STARTED: AdviceRule = AdviceRule {
    id: "not-started",
    threshold: "verdict NotStarted, for another reason than waiting for its turn",
    data: "the waiting reason in the status",
    citation: "k8s.io/kubernetes pkg/kubelet/images and kuberuntime, v1.36.3",
    check: |facts| {
        let Why::NotStarted(hindrance) = &facts.diagnosis.why else {
            return None;
        };
        let what = match hindrance.reason.as_str() {
            "ErrImagePull"
            | "ImagePullBackOff"
            | "ErrImageNeverPull"
            | "InvalidImageName"
            | "ImageInspectError"
            | "RegistryUnavailable"
            | "SignatureValidationFailed" => {
                "Look at the image's name, the registry and the pull secret."
            }
            "CreateContainerConfigError" | "CreateContainerError" => {
                "Look at the ConfigMaps, Secrets and volumes that it names."
            }
            "RunContainerError" | "StartError" | "ContainerCannotRun" => {
                "Look at its command and at what the image contains."
            }
            "Unschedulable" => "Look at its requests, node selector, affinity and tolerations.",
            "ContainerCreating" if hindrance.message.is_some() => {
                "Look at the volumes and the network that it waits for."
            }
            _ => return None,
        };
        Some(format!(
            "It has not run yet, so no probe is concerned. {what}"
        ))
    },
};

pub(super) const UNREADY: AdviceRule = AdviceRule {
    id: "unready",
    threshold: "verdict Unready, and the startup probe is not what it waits for",
    data: "the status and readiness events",
    citation: "open-policy-agent/gatekeeper#2571, nginx/kubernetes-ingress#9657",
    check: |facts| {
        matches!(facts.diagnosis.why, Why::Unready { starting: false, .. }).then(|| {
            "Nothing kills it, so no startup budget is too short. Look at what its readiness endpoint says; a rollout of it fails only after progressDeadlineSeconds.".to_owned()
        })
    },
};
