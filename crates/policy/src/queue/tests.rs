use super::{PolicyKey, RolloutQueue};
use crate::decision::Priority;
use crate::observation::Slot;
use crate::testing::at;

fn key(namespace: &str, name: &str) -> PolicyKey {
    (namespace.to_owned(), name.to_owned())
}

fn priority(looping: bool, coverage_permille: u32) -> Priority {
    Priority {
        looping,
        coverage_permille,
    }
}

const CALM: Priority = Priority {
    looping: false,
    coverage_permille: 500,
};

/// A queue in which `policies` wait.
fn waiting(slots: usize, policies: &[(&PolicyKey, Priority)]) -> RolloutQueue {
    let mut queue = RolloutQueue::new(slots);
    for (policy, priority) in policies {
        queue.ask((*policy).clone(), *priority);
    }
    queue
}

#[test]
fn a_free_slot_is_granted_at_once_and_stays_granted() {
    let a = key("x", "a");
    let mut queue = waiting(1, &[(&a, CALM)]);
    assert_eq!(queue.slot(&a, at(0)), Slot::Granted);
    assert_eq!(queue.slot(&a, at(1)), Slot::Granted);
    queue.ask(a.clone(), CALM);
    assert_eq!(
        queue.slot(&a, at(2)),
        Slot::Granted,
        "asking again changes nothing"
    );
}

#[test]
fn who_did_not_ask_has_no_place() {
    let mut queue = RolloutQueue::new(1);
    assert_eq!(queue.slot(&key("x", "a"), at(0)), Slot::None);
}

#[test]
fn looping_targets_first_then_the_smallest_budget_for_its_need() {
    let (a, b, c, d) = (key("1", "a"), key("2", "b"), key("3", "c"), key("4", "d"));
    let mut queue = waiting(
        1,
        &[
            (&a, priority(false, 900)),
            (&b, priority(false, 300)),
            (&c, priority(true, 990)),
            (&d, priority(false, 300)),
        ],
    );
    let places: Vec<_> = [&a, &b, &d].map(|policy| queue.slot(policy, at(0))).into();
    assert_eq!(
        places,
        [
            Slot::Waiting { position: 4 },
            Slot::Waiting { position: 2 },
            Slot::Waiting { position: 3 },
        ]
    );
    assert_eq!(queue.slot(&c, at(0)), Slot::Granted);
}

#[test]
fn a_changed_priority_changes_the_place() {
    let (a, b) = (key("1", "a"), key("2", "b"));
    let mut queue = waiting(1, &[(&a, CALM), (&b, priority(false, 600))]);
    assert_eq!(queue.slot(&b, at(0)), Slot::Waiting { position: 2 });
    queue.ask(b.clone(), priority(true, 600));
    assert_eq!(queue.slot(&b, at(0)), Slot::Granted);
}

#[test]
fn one_a_namespace_and_as_many_as_there_are_slots() {
    let (a, b, c, d) = (key("x", "a"), key("x", "b"), key("y", "c"), key("z", "d"));
    let mut queue = waiting(
        2,
        &[
            (&a, priority(false, 1)),
            (&b, priority(false, 2)),
            (&c, priority(false, 3)),
            (&d, priority(false, 4)),
        ],
    );
    assert_eq!(queue.next(), [a.clone(), c.clone()]);
    assert_eq!(queue.slot(&a, at(0)), Slot::Granted);
    assert_eq!(
        queue.slot(&b, at(0)),
        Slot::Waiting { position: 1 },
        "its namespace is busy"
    );
    assert_eq!(queue.slot(&c, at(0)), Slot::Granted);
    assert_eq!(
        queue.slot(&d, at(0)),
        Slot::Waiting { position: 2 },
        "no slot is left"
    );
    queue.leave(&a);
    assert_eq!(queue.slot(&b, at(0)), Slot::Granted);
}

#[test]
fn no_slots_is_one_slot() {
    let a = key("x", "a");
    assert_eq!(waiting(0, &[(&a, CALM)]).slot(&a, at(0)), Slot::Granted);
}

#[test]
fn a_rollout_holds_its_slot_for_the_shorter_of_its_deadline_and_15_minutes() {
    let (a, b) = (key("x", "a"), key("y", "b"));
    let cases = [
        ("the target's own deadline", Some(60), 60),
        ("a longer deadline", Some(3600), 900),
        ("no deadline", None, 900),
        ("an absurd deadline", Some(u32::MAX), 900),
    ];
    for (name, deadline, seconds) in cases {
        let mut queue = waiting(1, &[(&a, CALM), (&b, priority(false, 900))]);
        assert_eq!(queue.slot(&a, at(0)), Slot::Granted);
        queue.begin(a.clone(), deadline, at(0));
        assert_eq!(
            queue.slot(&b, at(seconds - 1)),
            Slot::Waiting { position: 1 },
            "{name}"
        );
        assert_eq!(queue.slot(&b, at(seconds)), Slot::Granted, "{name}");
        assert_eq!(
            queue.slot(&a, at(seconds)),
            Slot::None,
            "{name}: it must ask again"
        );
    }
}

#[test]
fn a_reservation_that_nobody_uses_comes_back() {
    let (a, b) = (key("x", "a"), key("y", "b"));
    let mut queue = waiting(1, &[(&a, CALM), (&b, priority(false, 900))]);
    assert_eq!(queue.slot(&a, at(0)), Slot::Granted);
    assert_eq!(queue.slot(&b, at(899)), Slot::Waiting { position: 1 });
    assert_eq!(queue.slot(&b, at(900)), Slot::Granted);
}

#[test]
fn settling() {
    let (a, b) = (key("x", "a"), key("y", "b"));
    let cases = [
        ("reserved, nothing written", false, false, true),
        ("reserved, another rollout runs", false, true, true),
        ("begun and rolling out", true, true, false),
        ("begun and done", true, false, true),
    ];
    for (name, begun, rolling, comes_back) in cases {
        let mut queue = waiting(1, &[(&a, CALM), (&b, priority(false, 900))]);
        assert_eq!(queue.slot(&a, at(0)), Slot::Granted);
        if begun {
            queue.begin(a.clone(), None, at(0));
        }
        queue.settle(&a, rolling);
        assert_eq!(queue.slot(&b, at(1)) == Slot::Granted, comes_back, "{name}");
    }
}

#[test]
fn a_write_that_did_not_wait_for_a_slot_holds_one() {
    let (a, b) = (key("x", "a"), key("y", "b"));
    let mut queue = waiting(1, &[(&b, CALM)]);
    queue.begin(a, None, at(0));
    assert_eq!(queue.slot(&b, at(1)), Slot::Waiting { position: 1 });
}

#[test]
fn one_who_waits_for_nothing_any_more_is_withdrawn() {
    let (a, b) = (key("x", "a"), key("y", "b"));
    let mut queue = waiting(1, &[(&a, CALM), (&b, priority(false, 900))]);
    queue.settle(&a, false);
    assert_eq!(queue.slot(&a, at(0)), Slot::None);
    assert_eq!(queue.slot(&b, at(0)), Slot::Granted);
}
