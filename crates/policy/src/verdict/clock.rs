//! Timeouts of programs themselves, known by the length of their runs.

use jiff::SignedDuration;

use crate::catalogue;
use crate::pod::{ContainerView, Life};

/// Lengths of runs count as the same within this.
const SAME: SignedDuration = SignedDuration::from_secs(2);
/// Runs shorter than this are no timeout: the program did not wait for anything.
const SHORTEST: SignedDuration = SignedDuration::from_secs(15);
/// Runs that must have the same length to speak of a clock that nobody knows, the last one included.
const ALIKE: usize = 3;

/// A clock after which some programs end themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Clock {
    pub seconds: u32,
    /// Whose clock that is.
    pub of: &'static str,
}

/// Clocks of programs that are not catalogued. Source: catalogue, "Own-timeout clocks" and L3.
const CLOCKS: [Clock; 2] = [
    Clock {
        seconds: 120,
        of: "controller-runtime",
    },
    Clock {
        seconds: 60,
        of: "linkerd, kube-router and others",
    },
];

/// The known clock that this length fits, unless earlier runs ended at other times. Where the image
/// is catalogued, only its own clocks count.
pub(super) fn known(view: &ContainerView, life: &Life) -> Option<Clock> {
    let fits = |clock: &Clock| {
        clock.fits(life.length()) && view.earlier_runs.iter().all(|run| clock.fits(*run))
    };
    match catalogue::find(&view.image) {
        Some(controller) => controller
            .own_timeouts
            .iter()
            .map(|&seconds| Clock {
                seconds,
                of: controller.image,
            })
            .find(fits),
        None => CLOCKS.into_iter().find(fits),
    }
}

/// How many runs in a row lasted as long as this one, when that is enough to speak of a clock. A
/// first run of another length, on a cold node say, does not speak against it for ever.
pub(super) fn constant(view: &ContainerView, life: &Life) -> Option<usize> {
    let length = life.length();
    let newest_first = view.earlier_runs.iter().rev();
    let alike = newest_first.take_while(|run| (**run - length).abs() <= SAME);
    let runs = alike.count() + 1;
    (runs >= ALIKE && length >= SHORTEST).then_some(runs)
}

impl Clock {
    /// Programs end some time after their clock: 120 to 125 s is what the long one gives.
    fn fits(self, length: SignedDuration) -> bool {
        let spread = if self.seconds >= 120 { 5 } else { 1 };
        let over = length.as_secs().saturating_sub(self.seconds.into());
        (0..=spread).contains(&over)
    }
}
