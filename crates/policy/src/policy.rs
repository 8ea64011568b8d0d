//! A policy's spec, parsed: an enum per rule form, no options left.

use probepilot_api::{
    CountSelector, CrashLoop, Delivery, GuardProbe, Limits, LowerBehavior, LowerPolicy, Mode,
    OnConflict, OnDelete, Point, ProbePolicySpec, ProbeTimings, RaiseBehavior, RaisePolicy,
    ScalingRule, Step, TargetRef,
};

/// What a policy asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// The workload.
    pub target: TargetRef,
    /// The container, where the author names one.
    pub container: Option<String>,
    /// Whether the operator may write.
    pub mode: Mode,
    /// Rules in the author's order.
    pub rules: Vec<Rule>,
    /// The range of budgets that rules may ask for.
    pub limits: Bounds,
    /// Headroom in percent, where starts that were seen may ask for a budget.
    pub learning: Option<u32>,
    /// How far kills may raise the budget; `None` is not at all.
    pub kills: Option<RaiseOnKill>,
    /// The probe that is given the budget.
    pub probe: GuardProbe,
    /// What becomes of a timing that another manager declares.
    pub on_conflict: OnConflict,
    /// How timings reach pods.
    pub delivery: Delivery,
    /// What becomes of what was written once the policy is deleted.
    pub on_delete: OnDelete,
    /// When a budget may grow.
    pub raise: Raise,
    /// When a budget may shrink; `None` is never.
    pub lower: Option<Lower>,
}

/// One rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// What is counted.
    pub count: CountSelector,
    /// How the budget follows the count.
    pub form: Form,
}

/// How a budget follows a count.
#[derive(Clone, Debug, PartialEq)]
pub enum Form {
    /// Rungs, strictly rising.
    Steps(Vec<Rung>),
    /// A straight line.
    Linear {
        /// Seconds at a count of 0.
        base_seconds: u32,
        /// Seconds that each thousand adds.
        seconds_per_thousand: u32,
    },
    /// Measured points, at least two, strictly rising in count.
    Interpolate(Vec<CurvePoint>),
}

/// One rung of a ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rung {
    /// The count from which it applies.
    pub at_least: i64,
    /// The budget asked for, in seconds.
    pub startup_seconds: Option<u32>,
    /// Liveness timings to write as they are.
    pub liveness: Option<ProbeTimings>,
}

/// A measured start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CurvePoint {
    /// Objects counted, at least 1.
    pub count: i64,
    /// Length of the start in seconds.
    pub seconds: u32,
}

/// A range of budgets, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Lower end.
    pub min_seconds: u32,
    /// Upper end; never below the lower one.
    pub max_seconds: u32,
}

/// How far kills may raise the budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RaiseOnKill {
    /// Percent of the killed life that the next budget is longer.
    pub percent: u32,
    /// Raises in a row without a healthy start between them.
    pub most: u32,
}

/// When a budget may grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raise {
    /// Which proactive writes are allowed.
    pub policy: RaisePolicy,
    /// Seconds for which more must be needed.
    pub window_seconds: u32,
    /// Seconds between two proactive writes.
    pub min_interval_seconds: u32,
}

/// When a budget may shrink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lower {
    /// Percent of the budget by which the need must lie below it.
    pub tolerance_percent: u32,
    /// Seconds for which less must be needed.
    pub window_seconds: u32,
}

/// Why a spec cannot be used. The API server refuses such a policy already (CEL); an older schema or
/// a file given to the command line may still hold one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// A rule without exactly one form.
    #[error("spec.rules[{0}]: give exactly one of steps, linear or interpolate")]
    RuleForm(usize),
    /// Counts that do not rise.
    #[error("spec.rules[{0}]: {1} must rise strictly: sort them and give each count once")]
    NotRising(usize, &'static str),
    /// Too few points.
    #[error("spec.rules[{0}]: interpolate needs at least two points")]
    TooFewPoints(usize),
    /// Limits that exclude everything.
    #[error("spec.limits: minStartupSeconds {0} exceeds maxStartupSeconds {1}")]
    Limits(u32, u32),
}

impl TryFrom<&ProbePolicySpec> for Policy {
    type Error = PolicyError;

    fn try_from(spec: &ProbePolicySpec) -> Result<Self, PolicyError> {
        let rules = spec.rules.iter().enumerate();
        Ok(Self {
            target: spec.target_ref.clone(),
            container: spec.container_name.clone(),
            mode: spec.mode,
            rules: rules
                .map(|(index, rule)| parse_rule(index, rule))
                .collect::<Result<_, _>>()?,
            limits: Bounds::try_from(spec.limits)?,
            learning: spec
                .learning
                .map(|learning| seconds(learning.headroom_percent)),
            kills: raise_on_kill(spec.crash_loop),
            probe: spec.apply.probe,
            on_conflict: spec.apply.on_conflict,
            delivery: spec.apply.delivery,
            on_delete: spec.apply.on_delete,
            raise: Raise::from(spec.behavior.raise),
            lower: lower(spec.behavior.lower),
        })
    }
}

impl Policy {
    /// What starts are held against: what the first rule counts, or all pods.
    #[must_use]
    pub fn driver(&self) -> CountSelector {
        let first = self.rules.first();
        first.map(|rule| rule.count.clone()).unwrap_or_default()
    }

    /// Everything that is counted; what two rules count is named twice.
    #[must_use]
    pub fn counted(&self) -> Vec<CountSelector> {
        let mut counted: Vec<_> = self.rules.iter().map(|rule| rule.count.clone()).collect();
        if counted.is_empty() {
            counted.push(self.driver());
        }
        counted
    }
}

fn parse_rule(index: usize, rule: &ScalingRule) -> Result<Rule, PolicyError> {
    let form = match (&rule.steps, &rule.linear, &rule.interpolate) {
        (Some(steps), None, None) => Form::Steps(parse_steps(index, steps)?),
        (None, Some(line), None) => Form::Linear {
            base_seconds: seconds(line.base_seconds),
            seconds_per_thousand: seconds(line.seconds_per_thousand),
        },
        (None, None, Some(points)) => Form::Interpolate(parse_points(index, points)?),
        _ => return Err(PolicyError::RuleForm(index)),
    };
    Ok(Rule {
        count: rule.count.clone(),
        form,
    })
}

fn parse_steps(index: usize, steps: &[Step]) -> Result<Vec<Rung>, PolicyError> {
    if !rises(steps.iter().map(|step| step.at_least)) {
        return Err(PolicyError::NotRising(index, "steps"));
    }
    let rung = |step: &Step| Rung {
        at_least: step.at_least,
        startup_seconds: step.startup_seconds.map(seconds),
        liveness: step.liveness_probe,
    };
    Ok(steps.iter().map(rung).collect())
}

fn parse_points(index: usize, points: &[Point]) -> Result<Vec<CurvePoint>, PolicyError> {
    if points.len() < 2 {
        return Err(PolicyError::TooFewPoints(index));
    }
    if !rises(points.iter().map(|point| point.count)) {
        return Err(PolicyError::NotRising(index, "interpolate points"));
    }
    let point = |point: &Point| CurvePoint {
        count: point.count.max(1),
        seconds: seconds(point.startup_seconds).max(1),
    };
    let mut points: Vec<_> = points.iter().map(point).collect();
    // Counts 0 and 1 are the same abscissa; the later point is the larger count and stays.
    points.reverse();
    points.dedup_by_key(|point| point.count);
    points.reverse();
    // More objects never make a start faster: a measured fall is noise, so exponents stay at or above 0.
    let mut slowest = 0;
    for point in &mut points {
        slowest = slowest.max(point.seconds);
        point.seconds = slowest;
    }
    Ok(points)
}

fn rises(counts: impl Iterator<Item = i64>) -> bool {
    let mut last = None;
    counts
        .into_iter()
        .all(|count| last.replace(count).is_none_or(|before| before < count))
}

impl TryFrom<Limits> for Bounds {
    type Error = PolicyError;

    fn try_from(limits: Limits) -> Result<Self, PolicyError> {
        let bounds = Self {
            min_seconds: seconds(limits.min_startup_seconds),
            max_seconds: seconds(limits.max_startup_seconds),
        };
        if bounds.min_seconds > bounds.max_seconds {
            return Err(PolicyError::Limits(bounds.min_seconds, bounds.max_seconds));
        }
        Ok(bounds)
    }
}

impl Bounds {
    /// The nearest budget inside the range, in seconds.
    #[must_use]
    pub fn clip(self, seconds: u32) -> u32 {
        seconds.clamp(self.min_seconds, self.max_seconds)
    }
}

impl From<RaiseBehavior> for Raise {
    fn from(raise: RaiseBehavior) -> Self {
        Self {
            policy: raise.policy,
            window_seconds: seconds(raise.stabilization_window_seconds),
            min_interval_seconds: seconds(raise.min_interval_seconds),
        }
    }
}

fn raise_on_kill(crash_loop: CrashLoop) -> Option<RaiseOnKill> {
    crash_loop.enabled.then(|| RaiseOnKill {
        percent: seconds(crash_loop.raise_percent).max(1),
        most: seconds(crash_loop.max_raises).max(1),
    })
}

fn lower(lower: LowerBehavior) -> Option<Lower> {
    (lower.policy == LowerPolicy::Enabled).then(|| Lower {
        tolerance_percent: seconds(lower.tolerance_percent).min(100),
        window_seconds: seconds(lower.stabilization_window_seconds),
    })
}

/// A number that the schema keeps at or above zero.
fn seconds(value: i32) -> u32 {
    u32::try_from(value).unwrap_or(0)
}
