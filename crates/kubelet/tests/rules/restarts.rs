//! K14, K15 and K20: what is inherited when a container or the kubelet restarts.

use probepilot_kubelet::ProbeKind::{Liveness, Startup};
use probepilot_kubelet::{
    Answer, Behaviour, Container, EventKind, Kubelet, KubeletRestart, Life, Phases, Scenario, Stop,
    Version, simulate,
};

use crate::{answers, began, kills, liveness, probe, scenario, waits};

/// Healthy at first, hung from 100 s on; its successor needs 20 s to start.
fn hangs_once() -> (Container, Behaviour) {
    let container = Container {
        startup: Some(probe(0, 10, 1, 30)),
        ..liveness(probe(0, 3, 1, 1))
    };
    let behaviour = Behaviour::lives(vec![
        answers(&[(0, Answer::Refused), (5, Answer::Ok), (99, Answer::Refused)]),
        Life::starting(Some(20_000), Answer::Refused),
    ]);
    (container, behaviour)
}

fn hangs_once_on(version: Version) -> Scenario {
    let (container, behaviour) = hangs_once();
    Scenario::new(container, Kubelet::of(version), behaviour, 200_000).with_phases(Phases {
        liveness_ms: 1_000,
        ..Phases::default()
    })
}

#[test]
fn k14_a_restarted_container_inherits_started_and_is_killed_by_liveness_while_it_starts() {
    let table = [
        (Version::new(1, 34), vec![100_000]),
        (Version::new(1, 35), vec![100_000, 103_000, 106_000]),
        (Version::new(1, 36), vec![100_000, 103_000, 106_000]),
        (Version::new(1, 37), vec![100_000, 103_000, 106_000]),
        (Version::new(1, 38), vec![100_000]),
    ];
    for (version, expected) in table {
        let timeline = simulate(&hangs_once_on(version));
        assert_eq!(kills(&timeline), expected, "{version}");
    }
    // The third kill meets a back-off, which publishes started = false: the fourth life is safe.
    let timeline = simulate(&hangs_once_on(Version::READ));
    assert_eq!(waits(&timeline), [0, 0, 10]);
}

#[test]
fn k14_is_harmless_with_a_threshold_of_two_or_a_delay_beyond_the_startup_period() {
    for (name, liveness) in [
        ("delay beyond the startup period", probe(11, 3, 1, 1)),
        ("two failures do not fit in", probe(0, 10, 1, 2)),
    ] {
        let mut run = hangs_once_on(Version::READ);
        run.container.liveness = Some(liveness);
        run.phases.liveness_ms = 2_000;
        assert_eq!(simulate(&run).probe_kills().count(), 1, "{name}");
    }
}

#[test]
fn k14_a_sidecars_liveness_is_not_looked_at_before_its_startup_probe_succeeded() {
    let mut run = hangs_once_on(Version::READ);
    run.container.sidecar = true;
    let timeline = simulate(&run);
    // Liveness fails at 103 s; the startup probe's success at 120 s brings that to light.
    assert_eq!(kills(&timeline)[..2], [100_000, 120_000]);
}

fn restart_at(at_ms: u64) -> Vec<KubeletRestart> {
    vec![KubeletRestart {
        at_ms,
        phases: Phases::default(),
    }]
}

#[test]
fn k15_a_kubelet_restart_forgets_the_streak() {
    let life = answers(&[(0, Answer::Ok), (95, Answer::Refused)]);
    let mut run = scenario(liveness(probe(0, 10, 1, 3)), life, 200);
    assert_eq!(kills(&simulate(&run))[0], 120_000);
    run.kubelet_restarts = restart_at(115_000);
    assert_eq!(kills(&simulate(&run))[0], 135_000);
}

#[test]
fn k15_started_is_kept_so_startup_is_not_done_again_since_1_35() {
    let container = Container {
        startup: Some(probe(0, 10, 1, 30)),
        ..liveness(probe(0, 10, 1, 3))
    };
    for (version, sidecar, again) in [
        (Version::new(1, 34), false, 1),
        (Version::new(1, 36), false, 0),
        (Version::new(1, 36), true, 0),
    ] {
        let container = Container {
            sidecar,
            ..container
        };
        let mut run = Scenario::new(
            container,
            Kubelet::of(version),
            Behaviour::default(),
            200_000,
        );
        run.kubelet_restarts = restart_at(95_000);
        let timeline = simulate(&run);
        let startups = began(&timeline, Startup);
        assert_eq!(
            startups.iter().filter(|began| **began > 90_000).count(),
            again,
            "{version}, sidecar {sidecar}"
        );
        assert!(
            began(&timeline, Liveness)
                .iter()
                .any(|began| *began > 110_000)
        );
        assert_eq!(timeline.first_kill(), None);
    }
}

#[test]
fn k15_a_kubelet_restart_forgets_the_back_off() {
    let mut run = scenario(Container::default(), Life::default().exiting(1_000, 1), 60);
    run.kubelet_restarts = restart_at(5_000);
    // The second death would wait until 12 s; the new kubelet knows of no back-off.
    assert_eq!(simulate(&run).lives[2].started_ms, 5_000);
}

/// Starts for 60 s; startup would wait 100 s, liveness 9 s. The kubelet is back at this second.
fn restarted_while_starting(version: Version, restart_ms: u64) -> Scenario {
    let container = Container {
        startup: Some(probe(0, 10, 1, 10)),
        ..liveness(probe(0, 3, 1, 3))
    };
    let behaviour = Behaviour::always(Life::starting(Some(60_000), Answer::Refused));
    let mut run = Scenario::new(container, Kubelet::of(version), behaviour, 300_000);
    run.kubelet_restarts = restart_at(restart_ms);
    run
}

#[test]
fn k20_a_kubelet_restart_takes_a_starting_container_for_started_and_liveness_kills_it() {
    for (name, version, restart_ms, expected) in [
        ("while it starts", Version::READ, 30_000, vec![36_000]),
        // The restart of the container finds its startup probe on guard again (K14 needs a threshold of 1).
        ("once, however slow", Version::READ, 50_000, vec![56_000]),
        // worker.go: a container younger than 10 s is none that survived a restart, so its probe runs.
        ("when it is young", Version::READ, 9_000, vec![]),
        ("after the start", Version::READ, 80_000, vec![]),
        (
            "an older kubelet starts over",
            Version::new(1, 34),
            30_000,
            vec![],
        ),
    ] {
        let timeline = simulate(&restarted_while_starting(version, restart_ms));
        assert_eq!(kills(&timeline), expected, "{name}");
        let by_liveness = |kill: probepilot_kubelet::Kill| kill.stop == Stop::Probe(Liveness);
        assert!(timeline.probe_kills().all(by_liveness), "{name}");
    }
    let mut run = restarted_while_starting(Version::READ, 30_000);
    run.kubelet.starting_taken_for_started = false;
    assert_eq!(kills(&simulate(&run)), [] as [u64; 0]);
}

#[test]
fn k20_the_initial_delay_of_liveness_still_holds_and_readiness_still_tells() {
    let mut run = restarted_while_starting(Version::READ, 30_000);
    run.container.liveness = Some(probe(60, 3, 1, 3));
    run.container.readiness = Some(probe(0, 5, 1, 1));
    let timeline = simulate(&run);
    assert_eq!(kills(&timeline), [] as [u64; 0]);
    assert_eq!(timeline.lives[0].became_started_ms, Some(30_000));
    let ready = timeline
        .events
        .iter()
        .find(|event| event.kind == EventKind::Ready { ready: true });
    assert_eq!(ready.unwrap().at_ms, 60_000);
}
