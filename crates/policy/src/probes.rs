//! From a need to probes: a function of what the owner wants and of the need, never of our own
//! earlier writes, so the same need gives the same template whatever came before.

use probepilot_api::{GuardProbe, OnConflict, ProbeTimings};
use probepilot_kubelet::{StartGuard, Timings};

use crate::managed::{FieldOwner, Operation, ProbeField, Temper, Tool};
use crate::need::lengthened;
use crate::timing::TimingField;
use crate::workload::{ContainerProbes, Probe};

/// Longest period of a startup probe that the operator writes, in seconds: a start is seen by the
/// next attempt, so a longer period delays Ready.
const LONGEST_STARTUP_PERIOD_SECONDS: u32 = 10;
/// Timings are int32 in the API.
const LARGEST_FIELD: u32 = i32::MAX.unsigned_abs();

/// A budget to give, in seconds, with the liveness timings that rungs ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Startup budget in seconds.
    pub seconds: u32,
    /// Liveness timings to write as they are.
    pub liveness: Option<ProbeTimings>,
    /// The probe that is given what liveness timings alone do not reach.
    pub probe: GuardProbe,
}

/// Timings that are left to a manager who would put them back, or who could not remove the probe any
/// more: an applier that drops a probe of which we own a leaf is refused (S4), so the whole probe whose
/// handler he applies is his.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    fields: Vec<HeldField>,
}

/// One timing that is left to its manager.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldField {
    /// The probe.
    pub probe: ProbeField,
    /// The timing.
    pub timing: TimingField,
    /// Name of the manager that declares it, or the probe.
    pub manager: String,
    /// The tool behind that manager.
    pub tool: Tool,
}

impl Held {
    /// What the managers of a container's probes hold, where conflicts are settled as `on_conflict`
    /// says. `present` are the probes as their owner wants them.
    #[must_use]
    pub fn by(owners: &[FieldOwner], on_conflict: OnConflict, present: &ContainerProbes) -> Self {
        let holds = |owner: &FieldOwner| match (on_conflict, owner.temper()) {
            (OnConflict::Take, _) | (_, Temper::Ours) => false,
            (OnConflict::Auto, temper) => temper == Temper::Fights,
            (OnConflict::Yield, _) => true,
        };
        let fields = owners
            .iter()
            .filter(|owner| holds(owner))
            .flat_map(|owner| {
                [
                    (ProbeField::Liveness, &present.liveness),
                    (ProbeField::Startup, &present.startup),
                ]
                .into_iter()
                .flat_map(move |(probe, present)| {
                    let whole = owner.applies_handler(probe);
                    let present = present.as_ref().map(|probe| probe.timings);
                    let owned = TimingField::ALL
                        .into_iter()
                        .filter(move |timing| whole || declares(owner, probe, *timing, present));
                    owned.map(move |timing| HeldField {
                        probe,
                        timing,
                        manager: owner.manager.clone(),
                        tool: owner.tool(),
                    })
                })
            });
        Self {
            fields: fields.collect(),
        }
    }

    /// The manager that holds this timing.
    #[must_use]
    pub fn holder(&self, probe: ProbeField, timing: TimingField) -> Option<&HeldField> {
        let mut fields = self.fields.iter();
        fields.find(|field| field.probe == probe && field.timing == timing)
    }

    /// The first held timing that differs between `from` and `to`: its manager, and its path in the
    /// container.
    #[must_use]
    pub fn broken_by(
        &self,
        from: &ContainerProbes,
        to: &ContainerProbes,
    ) -> Option<(String, String)> {
        self.fields.iter().find_map(|held| {
            let (name, from, to) = match held.probe {
                ProbeField::Liveness => ("livenessProbe", &from.liveness, &to.liveness),
                ProbeField::Startup => ("startupProbe", &from.startup, &to.startup),
            };
            let (from, to) = from.as_ref().zip(to.as_ref())?;
            let differs = held.timing.get(from.timings) != held.timing.get(to.timings);
            let path = format!("{name}.{}", held.timing.key());
            differs.then(|| (held.manager.clone(), path))
        })
    }

    /// `wanted`, but with the present value of every timing that is held.
    fn respect(&self, probe: ProbeField, present: Timings, wanted: Timings) -> Timings {
        TimingField::ALL
            .into_iter()
            .fold(wanted, |timings, timing| match self.holder(probe, timing) {
                Some(_) => timing.set(timings, timing.get(present)),
                None => timings,
            })
    }
}

/// Whether a manager declares this timing. One that yields owns what was defaulted when it created the
/// object as well, and never puts that back (S7): the default does not count as declared.
fn declares(
    owner: &FieldOwner,
    probe: ProbeField,
    timing: TimingField,
    present: Option<Timings>,
) -> bool {
    let default = Timings::default();
    let defaulted = owner.operation == Operation::Update
        && owner.temper() == Temper::Yields
        && present.is_none_or(|present| timing.get(present) == timing.get(default));
    owner.owns(probe, timing.key()) && !defaulted
}

/// The probes that give `wish` on top of what the owner wants.
///
/// Never shorter than the owner, never a liveness probe where there is none, and unchanged where
/// the owner's budget is enough. Where every way is held by a manager that would fight, the result
/// falls short of the wish; the caller compares budgets.
#[must_use]
pub fn probes(owner: &ContainerProbes, wish: Wish, held: &Held) -> ContainerProbes {
    let enough = |probes: &ContainerProbes| {
        probes
            .guard()
            .budget_seconds()
            .is_none_or(|budget| budget >= wish.seconds)
    };
    let mut wanted = owner.clone();
    if enough(&wanted) {
        return wanted;
    }
    if let (Some(liveness), Some(timings)) = (&mut wanted.liveness, wish.liveness) {
        let longer = lengthened(liveness.timings, timings);
        liveness.timings = held.respect(ProbeField::Liveness, liveness.timings, longer);
    }
    if enough(&wanted) {
        return wanted;
    }
    if let Some(startup) = &mut wanted.startup {
        let longer = with_threshold_for(startup.timings, wish.seconds);
        startup.timings = held.respect(ProbeField::Startup, startup.timings, longer);
        return wanted;
    }
    let Some(liveness) = &mut wanted.liveness else {
        return wanted;
    };
    let delay_held = held
        .holder(ProbeField::Liveness, TimingField::InitialDelay)
        .is_some();
    if wish.probe == GuardProbe::Liveness && !delay_held {
        liveness.timings = with_delay_for(liveness.timings, wish.seconds);
    } else {
        wanted.startup = Some(startup_like(liveness, wish.seconds));
    }
    wanted
}

/// A startup probe with liveness's own handler that guarantees so many seconds.
fn startup_like(liveness: &Probe, seconds: u32) -> Probe {
    let timings = Timings {
        initial_delay_seconds: 0,
        period_seconds: liveness
            .timings
            .period_seconds
            .min(LONGEST_STARTUP_PERIOD_SECONDS),
        timeout_seconds: liveness.timings.timeout_seconds,
        failure_threshold: 1,
    };
    Probe {
        timings: with_threshold_for(timings, seconds),
        ..liveness.clone()
    }
}

/// The threshold raised until `D + (F-1)*P` reaches `seconds`.
fn with_threshold_for(timings: Timings, seconds: u32) -> Timings {
    let rest = seconds.saturating_sub(timings.initial_delay_seconds);
    let attempts = rest
        .div_ceil(timings.period_seconds.max(1))
        .saturating_add(1);
    Timings {
        failure_threshold: attempts.min(LARGEST_FIELD).max(timings.failure_threshold),
        ..timings
    }
}

/// The delay raised until `D + (F-1)*P` reaches `seconds`.
fn with_delay_for(timings: Timings, seconds: u32) -> Timings {
    let covered =
        timings.budget_seconds() - timings.initial_delay_seconds.min(timings.budget_seconds());
    let delay = seconds
        .saturating_sub(covered)
        .max(timings.initial_delay_seconds);
    Timings {
        initial_delay_seconds: delay,
        ..timings
    }
}

/// The budget of probes in seconds; unlimited where nothing can kill the start.
#[must_use]
pub fn budget(probes: &ContainerProbes) -> u32 {
    match probes.guard() {
        StartGuard::None => u32::MAX,
        guard => guard.budget_seconds().unwrap_or(u32::MAX),
    }
}

#[cfg(test)]
mod tests;
