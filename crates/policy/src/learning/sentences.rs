//! The reasons, in words.

use super::{Recommendation, Unlearned};

impl Unlearned {
    /// Why nothing is recommended, for a human.
    #[must_use]
    pub fn sentence(self) -> String {
        match self {
            Self::NoStarts => "No start has been seen yet.".into(),
            Self::NewKey { others } => format!(
                "No start of this image, command, arguments and CPU limit has been seen yet: learning starts over, {} not used.",
                number(others, "start of others is", "starts of others are")
            ),
            Self::OnlyExits { exits } => format!(
                "{} by itself before it was healthy, which no probe decides: nothing can be learnt from that.",
                number(exits, "start ended", "starts ended, each")
            ),
        }
    }
}

impl Recommendation {
    /// From what the seconds come and how far they reach, for a human.
    #[must_use]
    pub fn sentence(&self) -> String {
        format!(
            "{}{}. {}. {} 95 % of starts are expected within {} s; {} s are recommended, with {} % headroom{}.",
            self.from(),
            self.left_out(),
            self.growth(),
            self.reach(),
            self.bare_seconds,
            self.seconds,
            self.headroom_percent,
            self.caution(),
        )
    }

    fn from(&self) -> String {
        let seen = &self.evidence;
        let healthy =
            (seen.healthy > 0).then(|| number(seen.healthy, "healthy start", "healthy starts"));
        let killed = (seen.killed > 0).then(|| {
            number(
                seen.killed,
                "kill as a lower bound",
                "kills as lower bounds",
            )
        });
        let starts: Vec<String> = healthy.into_iter().chain(killed).collect();
        let counts = if seen.smallest_count == seen.largest_count {
            format!("at a count of {}", seen.largest_count)
        } else {
            format!(
                "at counts from {} to {}",
                seen.smallest_count, seen.largest_count
            )
        };
        format!("From {} {counts}", starts.join(" and "))
    }

    fn left_out(&self) -> String {
        let fast = self.evidence.other_role;
        let fast = (fast > 0).then(|| {
            let starts = number(fast, "start", "starts");
            format!(
                "{starts} that took less than a third of others (another role, such as a standby)"
            )
        });
        let others = (self.other_keys > 0).then(|| {
            let starts = number(self.other_keys, "start", "starts");
            format!("{starts} of another image, command, arguments or CPU limit")
        });
        let left_out: Vec<String> = fast.into_iter().chain(others).collect();
        if left_out.is_empty() {
            String::new()
        } else {
            format!(", without {}", left_out.join(" and "))
        }
    }

    fn growth(&self) -> String {
        let exponent = self.evidence.exponent;
        if self.evidence.exponent_measured {
            format!("Seconds grow with the count to the power {exponent}")
        } else {
            format!(
                "The counts differ too little to tell how seconds grow, so the power {exponent} is taken"
            )
        }
    }

    fn reach(&self) -> String {
        let count = self.count.max(0);
        let seen = self.evidence.largest_count.max(1);
        if self.extrapolates() {
            let tenths = (i128::from(count) * 10 + i128::from(seen) / 2) / i128::from(seen);
            let times = format!("{}.{}", tenths / 10, tenths % 10);
            format!("At {count}, {times} times the largest count seen,")
        } else if self.count < self.evidence.smallest_count {
            format!("At {count}, below all counts seen, as at the smallest of them,")
        } else {
            format!("At {count}")
        }
    }

    fn caution(&self) -> String {
        match self.caution_percent {
            0 => String::new(),
            percent => format!(" and {percent} % for how few healthy starts were seen"),
        }
    }
}

fn number(number: usize, one: &str, many: &str) -> String {
    let what = if number == 1 { one } else { many };
    format!("{number} {what}")
}
