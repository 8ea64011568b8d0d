//! K13: how long a container waits before it starts again.

use probepilot_kubelet::{BackOff, Behaviour, Container, Kubelet, Life, Scenario, simulate};

use crate::{liveness, never_healthy, probe, scenario, waits};

#[test]
fn k13_a_probe_kill_waits_only_if_the_life_before_it_ended_recently() {
    // Each life is killed 60 s after its start and exits at once.
    let container = liveness(probe(50, 10, 1, 2));
    let timeline = simulate(&scenario(container, never_healthy(), 1_800));
    // Kills 1 to 5 restart at once, the back-off growing to 80 s; the sixth waits all of it. From
    // the ninth on the 300 s are over every second time: then they count from the life before.
    assert_eq!(
        waits(&timeline)[..10],
        [0, 0, 0, 0, 0, 80, 160, 300, 0, 300]
    );
}

#[test]
fn k13_a_container_that_dies_by_itself_waits_from_its_second_death_on() {
    let life = Life::default().exiting(1_000, 1);
    let timeline = simulate(&scenario(Container::default(), life, 1_500));
    assert_eq!(waits(&timeline)[..8], [0, 10, 20, 40, 80, 160, 300, 300]);
}

#[test]
fn k13_reduced_decay_and_node_cap() {
    let dies = Life::default().exiting(1_000, 1);
    let table = [
        (
            "reduced",
            BackOff::reduced(),
            [0, 1, 2, 4, 8, 16, 32, 60, 60],
        ),
        (
            "cap 25 s",
            BackOff::default().capped_by_node(25_000),
            [0, 10, 20, 25, 25, 25, 25, 25, 25],
        ),
        (
            "cap below the first",
            BackOff::default().capped_by_node(3_000),
            [0, 3, 3, 3, 3, 3, 3, 3, 3],
        ),
    ];
    for (name, back_off, expected) in table {
        let mut run = scenario(Container::default(), dies.clone(), 600);
        run.kubelet.back_off = back_off;
        assert_eq!(waits(&simulate(&run))[..9], expected, "{name}");
    }
}

#[test]
fn k13_back_off_is_forgotten_after_ten_good_minutes() {
    let lives = vec![
        Life::default().exiting(1_000, 1),
        Life::default().exiting(1_000, 1),
        Life::default().exiting(700_000, 1),
        Life::default().exiting(1_000, 1),
    ];
    let run = Scenario::new(
        Container::default(),
        Kubelet::default(),
        Behaviour::lives(lives),
        800_000,
    );
    // The third life lasts longer than 600 s: its successor starts at once and the next waits 10 s.
    assert_eq!(waits(&simulate(&run))[..4], [0, 10, 0, 10]);
}

#[test]
fn k13_a_late_sync_makes_the_wait_longer_by_its_jitter() {
    let mut run = scenario(Container::default(), Life::default().exiting(0, 1), 60);
    run.kubelet.sync_jitter_percent = 50;
    assert_eq!(waits(&simulate(&run))[..3], [0, 15, 30]);
}
