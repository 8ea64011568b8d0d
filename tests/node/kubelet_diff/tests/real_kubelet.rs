//! Generated pods on the real kubelet: every kill in its predicted window, and nobody killed who was to survive.

// Whatever fails here fails the test, and the panic says what and where.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::future::join_all;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, PostParams};
use kube::{Api, Client};
use probepilot_test_cluster::wait::{self, Seen as Look};
use probepilot_test_cluster::{Cluster, Image, TestNamespace, build_static};
use probepilot_test_kubelet_diff::generate::{SEED, generate};
use probepilot_test_kubelet_diff::judge::{Judged, judge};
use probepilot_test_kubelet_diff::manifest::{self, IMAGE, PROGRAM};
use probepilot_test_kubelet_diff::observe::{Seen, Watched};
use probepilot_test_kubelet_diff::predict::{Prediction, predict};
use probepilot_test_kubelet_diff::report::{self, Ran};
use probepilot_test_kubelet_diff::{Config, FULL_VAR, ONLY_VAR, SEED_VAR};
use tokio::sync::{Mutex, Semaphore};

/// Pods at once: more would make one another late on two cores.
const AT_ONCE: usize = 16;
/// Rounds, the first included. What did not fit is run again with nothing beside it: a machine that is short of processor
/// time for some seconds is no finding, a rule that is wrong does not fit again. The table shows every round.
const ROUNDS: usize = 3;
/// How much later than the status an event may be shown: the kubelet sends it another way.
const EVENTS: Duration = Duration::from_secs(5);
/// The longest a container may take to start.
const START: Duration = Duration::from_mins(2);

#[tokio::test(flavor = "multi_thread")]
async fn the_real_kubelet_does_what_was_predicted() {
    let seed = std::env::var(SEED_VAR).map_or(SEED, |seed| seed.parse().expect("a number"));
    let configs = chosen(seed);
    println!("{SEED_VAR}={seed}: {} configurations", configs.len());
    // Before the first pod runs, so that it takes no processor time from them.
    let predicted: Vec<(Config, Prediction)> = configs
        .into_iter()
        .map(|config| (config.clone(), predict(&config)))
        .collect();

    let cluster = Cluster::shared().await.unwrap();
    let client = cluster.client().await.unwrap();
    load_image(&cluster).await;
    let namespace = TestNamespace::create(&client, "kubelet-diff")
        .await
        .unwrap();
    let watched = Watched::default();
    let stage = Stage {
        pods: Api::namespaced(client.clone(), namespace.name()),
        watched: watched.clone(),
        starting: Arc::new(Mutex::new(())),
        room: Arc::new(Semaphore::new(AT_ONCE)),
    };
    let watching = watch(watched, client, namespace.name().to_owned());
    let rounds = tokio::select! {
        rounds = stage.rounds(predicted) => rounds,
        error = watching => panic!("the watch ended: {error:#}"),
    };

    let last = rounds.last().map(Vec::as_slice).unwrap_or_default();
    let wrong: Vec<String> = last
        .iter()
        .filter(|one| !one.judged.fits())
        .map(report::replay)
        .collect();
    let all: Vec<Ran> = rounds.into_iter().flatten().collect();
    println!("{}", report::table(seed, &all));
    let folder = report::keep(seed, &all).unwrap();
    println!("kept in {}", folder.display());
    namespace.delete().await.unwrap();
    assert!(
        wrong.is_empty(),
        "the kubelet did something else than predicted, {ROUNDS} times in a row ({SEED_VAR}={seed}):\n{}",
        wrong.join("\n---\n")
    );
}

fn chosen(seed: u64) -> Vec<Config> {
    let full = std::env::var_os(FULL_VAR).is_some();
    let only = std::env::var(ONLY_VAR).ok();
    let is_chosen = |config: &Config| match &only {
        Some(part) => config.name.contains(part.as_str()),
        None => full || config.every_run,
    };
    let chosen: Vec<Config> = generate(seed).into_iter().filter(is_chosen).collect();
    assert!(!chosen.is_empty(), "{ONLY_VAR}={only:?} names none");
    chosen
}

async fn load_image(cluster: &Cluster) {
    let program = build_static("probed").unwrap();
    let image = Image::new(IMAGE)
        .file(PROGRAM, std::fs::read(program).unwrap(), 0o755)
        .entrypoint([PROGRAM])
        .user("65532:65532");
    cluster.load_image(&image).await.unwrap();
}

async fn watch(watched: Watched, client: Client, namespace: String) -> anyhow::Error {
    watched.follow(&client, &namespace).await.unwrap_err()
}

/// Where the pods run.
struct Stage {
    pods: Api<Pod>,
    watched: Watched,
    /// One container starts at a time.
    starting: Arc<Mutex<()>>,
    room: Arc<Semaphore>,
}

impl Stage {
    /// Runs them all, and what did not fit again. Each round's results, the first with all of them.
    async fn rounds(&self, mut predicted: Vec<(Config, Prediction)>) -> Vec<Vec<Ran>> {
        let mut rounds = Vec::new();
        for round in 1..=ROUNDS {
            let runs = predicted.iter().map(|(config, prediction)| {
                let mut config = config.clone();
                if round > 1 {
                    config.name = format!("{}-again-{round}", config.name);
                }
                self.run(config, prediction)
            });
            let ran = join_all(runs).await;
            let mut fits = ran.iter().map(|one| one.judged.fits());
            predicted.retain(|_| !fits.next().unwrap_or(true));
            rounds.push(ran);
            if predicted.is_empty() {
                break;
            }
            let names: Vec<&str> = predicted.iter().map(|(one, _)| one.name.as_str()).collect();
            println!("round {round}: {} did not fit", names.join(", "));
        }
        rounds
    }

    async fn run(&self, config: Config, prediction: &Prediction) -> Ran {
        let _room = self.room.acquire().await.unwrap();
        let name = config.name.as_str();
        {
            let _alone = self.starting.lock().await;
            let pod = serde_json::from_value(manifest::pod(&config)).expect("a pod");
            self.pods
                .create(&PostParams::default(), &pod)
                .await
                .unwrap();
            self.until(&format!("{name} to start"), START, |seen| {
                !seen.lives.is_empty()
            })
            .await;
        }
        let longest = Duration::from_secs(u64::from(config.observe_seconds));
        let enough = |seen: &Seen| {
            let ended = seen
                .lives
                .iter()
                .filter(|life| life.finished.is_some())
                .count();
            let age = now() - seen.lives.first().map_or_else(now, |life| life.started);
            ended >= config.lives || age >= i64::from(config.observe_seconds)
        };
        self.until(
            &format!("{name} to be seen long enough"),
            longest + START,
            enough,
        )
        .await;
        let (seen, judged) = self.judged(&config, prediction).await;
        let gone = DeleteParams::default().grace_period(1);
        self.pods.delete(name, &gone).await.unwrap();
        Ran {
            config,
            seen,
            judged,
        }
    }

    /// Judges, again and again for [`EVENTS`] while it does not fit.
    async fn judged(&self, config: &Config, prediction: &Prediction) -> (Seen, Judged) {
        let look = || async {
            let seen = self.watched.seen(&config.name);
            let judged = judge(config, prediction, &seen, now());
            Ok::<_, std::convert::Infallible>(if judged.fits() {
                Look::Done((seen, judged))
            } else {
                Look::NotYet("it does not fit".to_owned())
            })
        };
        let in_time = wait::until(format!("{} to fit", config.name), EVENTS, look).await;
        in_time.unwrap_or_else(|_| {
            let seen = self.watched.seen(&config.name);
            let judged = judge(config, prediction, &seen, now());
            (seen, judged)
        })
    }

    async fn until(&self, what: &str, within: Duration, holds: impl Fn(&Seen) -> bool) {
        let pod = what.split(' ').next().unwrap_or_default();
        let look = || async {
            let seen = self.watched.seen(pod);
            Ok::<_, std::convert::Infallible>(if holds(&seen) {
                Look::Done(())
            } else {
                Look::NotYet(format!("{seen:?}"))
            })
        };
        wait::until(what, within, look).await.unwrap();
    }
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}
