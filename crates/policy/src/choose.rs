//! Which container of the target a policy scales.

use probepilot_api::Reason;

use crate::condition::ConditionState;
use crate::policy::Policy;
use crate::workload::{ContainerProbes, Workload};

/// The container that the policy names, else the pinned one, else the only one with a probe that
/// can end its life.
///
/// # Errors
/// The condition that says why there is none, or which to name.
pub fn choose<'a>(
    policy: &Policy,
    pinned: Option<&str>,
    workload: &'a Workload,
) -> Result<&'a ContainerProbes, ConditionState> {
    if let Some(name) = &policy.container {
        return named(name, workload);
    }
    if let Some(pinned) = pinned.and_then(|name| workload.container(name)) {
        return Ok(pinned);
    }
    let probed =
        |container: &&ContainerProbes| container.startup.is_some() || container.liveness.is_some();
    let candidates: Vec<_> = workload.containers.iter().filter(probed).collect();
    match candidates.as_slice() {
        [only] => Ok(only),
        [] => Err(ConditionState::new(
            Reason::NoProbe,
            format!(
                "no container of {} has a liveness or startup probe, so no probe can end its start; there is nothing to scale",
                workload.display()
            ),
        )),
        several => Err(ConditionState::new(
            Reason::AmbiguousContainer,
            format!(
                "several containers of {} have a liveness or startup probe: set spec.containerName to one of {}",
                workload.display(),
                names(several.iter().map(|container| container.name.as_str()))
            ),
        )),
    }
}

fn named<'a>(name: &str, workload: &'a Workload) -> Result<&'a ContainerProbes, ConditionState> {
    if let Some(container) = workload.container(name) {
        return Ok(container);
    }
    if workload.sidecars.iter().any(|sidecar| sidecar == name) {
        return Err(ConditionState::new(
            Reason::SidecarContainer,
            format!(
                "{name} is a sidecar in initContainers, which is not supported as a target; name a regular container"
            ),
        ));
    }
    let existing = names(
        workload
            .containers
            .iter()
            .map(|container| container.name.as_str()),
    );
    Err(ConditionState::new(
        Reason::ContainerNotFound,
        format!(
            "{} has no container {name}; its containers are {existing}",
            workload.display()
        ),
    ))
}

fn names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
