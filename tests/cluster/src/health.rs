//! What runs, and what is not well.

use std::convert::Infallible;
use std::fmt::Write;
use std::path::PathBuf;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Node, ServiceAccount};
use kube::{Api, Client};

use crate::cluster::Cluster;
use crate::component::{Component, has_network};
use crate::layout::NODE;
use crate::process::Identity;
use crate::wait::{self, Seen};

/// How long a cluster whose daemons all run may be unwell before it counts as broken.
const SETTLE: Duration = Duration::from_mins(1);
/// How long a healthy API server may take to answer one question.
const ANSWER: Duration = Duration::from_secs(5);

/// One daemon as it is found.
#[derive(Debug, Clone)]
pub struct ComponentHealth {
    /// Which.
    pub component: Component,
    /// The process, when it runs.
    pub process: Option<Identity>,
    /// Its log.
    pub log: PathBuf,
}

/// A cluster as it is found.
#[derive(Debug, Clone)]
pub struct Health {
    /// Its daemons, in the order they are started.
    pub components: Vec<ComponentHealth>,
    /// What is wrong, in words; empty when nothing is.
    pub problems: Vec<String>,
}

impl Health {
    /// Whether everything is well.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.problems.is_empty()
    }

    /// A table for people: process, pid, age, memory, log.
    #[must_use]
    pub fn table(&self) -> String {
        let mut table = format!(
            "{:<24} {:>8} {:>8} {:>8}  LOG\n",
            "PROCESS", "PID", "AGE", "MEMORY"
        );
        for ComponentHealth {
            component,
            process,
            log,
        } in &self.components
        {
            let cell = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
            let pid = process
                .as_ref()
                .map_or_else(|| "stopped".to_owned(), |process| process.pid.to_string());
            let age = cell(process.as_ref().and_then(Identity::age).map(age));
            let memory = cell(
                process
                    .as_ref()
                    .and_then(Identity::resident_bytes)
                    .map(|bytes| format!("{} MiB", bytes >> 20)),
            );
            // Writing to a string cannot fail.
            let _ = writeln!(
                table,
                "{:<24} {pid:>8} {age:>8} {memory:>8}  {}",
                component.name(),
                log.display()
            );
        }
        table
    }
}

/// As kubectl shows ages: the two largest units.
fn age(age: Duration) -> String {
    let seconds = age.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{}s", seconds / 60, seconds % 60),
        3600..86400 => format!("{}h{}m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{}d{}h", seconds / 86400, seconds % 86400 / 3600),
    }
}

impl Cluster {
    /// Looks at every part of the cluster. Takes at most a few seconds, also when nothing answers.
    pub async fn health(&self) -> Health {
        let layout = self.layout();
        let components: Vec<_> = Component::ALL
            .into_iter()
            .map(|component| ComponentHealth {
                component,
                process: component.pid_file(layout).alive(),
                log: component.log(layout),
            })
            .collect();
        let mut problems: Vec<_> = components
            .iter()
            .filter(|health| health.process.is_none())
            .map(|health| format!("{} is not running", health.component.name()))
            .collect();
        if !has_network(layout) {
            problems.push(format!("the network namespace {} is gone", layout.netns()));
        }
        // Without its server there is no use in waiting for answers.
        if components
            .iter()
            .all(|health| health.component != Component::ApiServer || health.process.is_some())
            && has_network(layout)
        {
            problems.extend(self.ask().await);
        }
        Health {
            components,
            problems,
        }
    }

    /// As [`Cluster::health`], but where every daemon runs a problem is given a minute to pass: a cluster that is merely busy must not be
    /// taken for a broken one, which would be thrown away under whoever uses it.
    pub(crate) async fn settled_health(&self) -> Health {
        let settled = wait::until_every(Duration::from_secs(1), "health", SETTLE, || async {
            let health = self.health().await;
            let over = health.components.iter().any(|part| part.process.is_none())
                || !has_network(self.layout());
            Ok::<_, Infallible>(if over || health.is_healthy() {
                Seen::Done(health)
            } else {
                Seen::NotYet(health.problems.join("; "))
            })
        });
        match settled.await {
            Ok(health) => health,
            Err(_) => self.health().await,
        }
    }

    /// What the API server says about itself, the node and what the controllers must have made.
    async fn ask(&self) -> Option<String> {
        let client = match self.client().await {
            Ok(client) => client,
            Err(error) => return Some(error.to_string()),
        };
        match tokio::time::timeout(ANSWER, questions(&client)).await {
            Ok(answer) => answer.err(),
            Err(_) => Some(format!(
                "the API server has not answered within {} s",
                ANSWER.as_secs()
            )),
        }
    }
}

async fn questions(client: &Client) -> Result<(), String> {
    ready(client).await?;
    node_ready(client).await?;
    default_account(client).await
}

/// Whether the API server calls itself ready.
pub(crate) async fn ready(client: &Client) -> Result<(), String> {
    let request = http::Request::get("/readyz")
        .body(Vec::new())
        .map_err(|error| error.to_string())?;
    client
        .request_text(request)
        .await
        .map(drop)
        .map_err(|error| format!("the API server is not ready: {error}"))
}

/// Whether the real node is Ready.
pub(crate) async fn node_ready(client: &Client) -> Result<(), String> {
    let node = Api::<Node>::all(client.clone())
        .get_opt(NODE)
        .await
        .map_err(|error| format!("cannot read the node: {error}"))?;
    let conditions = node
        .and_then(|node| node.status)
        .and_then(|status| status.conditions)
        .unwrap_or_default();
    match conditions
        .iter()
        .find(|condition| condition.type_ == "Ready")
    {
        Some(condition) if condition.status == "True" => Ok(()),
        Some(condition) => Err(format!(
            "node {NODE} is not Ready: {}",
            condition.message.as_deref().unwrap_or("no reason given")
        )),
        None => Err(format!("node {NODE} has not reported yet")),
    }
}

/// Whether pods can be created: their admission wants the default service account, which the controller manager makes.
pub(crate) async fn default_account(client: &Client) -> Result<(), String> {
    let account = Api::<ServiceAccount>::default_namespaced(client.clone())
        .get_opt("default")
        .await;
    match account {
        Ok(Some(_)) => Ok(()),
        Ok(None) => {
            Err("the controller manager has not made the default service account yet".to_owned())
        }
        Err(error) => Err(format!("cannot read the default service account: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages() {
        let cases = [
            (0, "0s"),
            (59, "59s"),
            (61, "1m1s"),
            (3_600, "1h0m"),
            (90_000, "1d1h"),
        ];
        for (seconds, want) in cases {
            assert_eq!(age(Duration::from_secs(seconds)), want);
        }
    }
}
