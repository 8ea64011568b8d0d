//! The work on the cluster: policies first, then workloads whose policy is gone.

use super::report::{Line, Outcome, Report};
use super::wish::{Plan, Wish, plan};
use anyhow::{Context as _, bail};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, Preconditions};
use kube::{Client, ResourceExt as _};
use probepilot_api::{
    Delivery, OnDelete, ProbePolicy, RESTORE_ANYWAY_ANNOTATION, Reason, TargetKind,
};
use probepilot_operator::act::{Written, write_finalizer};
use probepilot_operator::deadline::within;
use probepilot_operator::farewell::records;
use probepilot_operator::hand_back::{HandedBack, Place, hand_back, read_workload};
use probepilot_operator::namespaces::Namespaces;
use probepilot_operator::observe::has_finalizer;
use probepilot_policy::{Finalizer, Policy, choose, pinned};
use std::collections::HashSet;
use std::time::Duration;

/// Longest time for one policy or workload, whatever its connection does.
const DEADLINE: Duration = Duration::from_mins(1);
/// Policies in a page.
const PAGE: u32 = 100;
/// Tries to take a finalizer off a policy that others write meanwhile.
const TRIES: u32 = 10;
const AGAIN: Duration = Duration::from_millis(200);

/// Leaves everything, or one namespace.
pub(super) async fn everything(
    client: &Client,
    namespace: Option<&str>,
    wish: Wish,
    report: &mut Report,
) -> anyhow::Result<()> {
    let cluster = Cluster {
        client,
        namespaces: Namespaces::new(client.clone()),
        wish,
    };
    let mut seen = HashSet::new();
    for policy in policies(client, namespace).await? {
        let mut line = blank(&policy, wish);
        match within(DEADLINE, "leaving it", cluster.policy(&policy, &mut line)).await {
            Ok(Ok(place)) => seen.extend(place),
            Ok(Err(error)) => fail(&mut line, &error),
            Err(error) => fail(&mut line, &error.into()),
        }
        report.policy(line)?;
    }
    for kind in [
        TargetKind::Deployment,
        TargetKind::StatefulSet,
        TargetKind::DaemonSet,
    ] {
        let found = records(client, namespace, kind).await;
        let found = found.with_context(|| format!("{}s cannot be listed", kind.singular()))?;
        for (place, record) in found {
            let left_before = record.released && wish.how != Some(OnDelete::Restore);
            if left_before || seen.contains(&place) {
                continue;
            }
            let mut line = Line {
                namespace: place.namespace.clone(),
                name: None,
                target: place.target.display(),
                container: Some(place.container.clone()),
                on_delete: wish.how.unwrap_or_default(),
                result: Outcome::Nothing,
                message: String::new(),
            };
            match within(DEADLINE, "leaving it", cluster.place(&place, &mut line)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => fail(&mut line, &error),
                Err(error) => fail(&mut line, &error.into()),
            }
            report.workload(line)?;
        }
    }
    Ok(())
}

fn fail(line: &mut Line, error: &anyhow::Error) {
    line.result = Outcome::Failed;
    line.message = format!("{error:#}");
}

fn blank(policy: &ProbePolicy, wish: Wish) -> Line {
    Line {
        namespace: policy.namespace().unwrap_or_default(),
        name: Some(policy.name_any()),
        target: policy.spec.target_ref.display(),
        container: None,
        on_delete: wish.how.unwrap_or(policy.spec.apply.on_delete),
        result: Outcome::Nothing,
        message: String::new(),
    }
}

/// All policies; none where the API is not there any more.
async fn policies(client: &Client, namespace: Option<&str>) -> anyhow::Result<Vec<ProbePolicy>> {
    let api: Api<ProbePolicy> = match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    };
    let mut params = ListParams::default().limit(PAGE);
    let mut found = Vec::new();
    loop {
        let page = match within(DEADLINE, "the API server", api.list(&params)).await? {
            Ok(page) => page,
            Err(kube::Error::Api(answer)) if answer.code == 404 => return Ok(found),
            Err(error) => return Err(error).context("the ProbePolicies cannot be read"),
        };
        found.extend(page.items);
        params.continue_token = page.metadata.continue_.filter(|token| !token.is_empty());
        if params.continue_token.is_none() {
            return Ok(found);
        }
    }
}

struct Cluster<'a> {
    client: &'a Client,
    namespaces: Namespaces,
    wish: Wish,
}

impl Cluster<'_> {
    /// Leaves what a policy scales, and deletes it. The place, where there is one.
    async fn policy(&self, policy: &ProbePolicy, line: &mut Line) -> anyhow::Result<Option<Place>> {
        let place = self.place_of(policy).await?;
        let anyway = policy.annotations().get(RESTORE_ANYWAY_ANNOTATION);
        let anyway = self.wish.anyway || anyway.is_some_and(|value| value != "false");
        let need = policy.status.as_ref().filter(|_| !anyway);
        let planned = match &place {
            Err(nothing) => Plan::Nothing(nothing.clone()),
            Ok(place) => {
                line.container = Some(place.container.clone());
                let read = read_workload(self.client, &place.namespace, &place.target).await?;
                match read {
                    None => Plan::Nothing(format!("there is no {}", line.target)),
                    Some(workload) => plan(&workload, &place.container, line.on_delete, need),
                }
            }
        };
        let place = place.ok();
        match planned {
            Plan::Refuse(why) => {
                line.result = Outcome::Refused;
                line.message = why;
                return Ok(place);
            }
            Plan::Nothing(text) => line.message = text,
            Plan::Do(result, text) => (line.result, line.message) = (result, text),
        }
        if self.wish.dry_run {
            return Ok(place);
        }
        self.delete(policy, line.on_delete).await?;
        if let Some(place) = &place {
            self.hand_back(place, line).await?;
        }
        if line.result == Outcome::Failed {
            return Ok(place);
        }
        self.free(policy).await?;
        Ok(place)
    }

    /// Leaves a container that no policy scales any more.
    async fn place(&self, place: &Place, line: &mut Line) -> anyhow::Result<()> {
        let read = read_workload(self.client, &place.namespace, &place.target).await?;
        let Some(workload) = read else {
            return Ok(());
        };
        if let Some(ignored) = self.ignored(&workload, &place.namespace).await? {
            line.message = ignored;
            return Ok(());
        }
        match plan(&workload, &place.container, line.on_delete, None) {
            Plan::Nothing(text) | Plan::Refuse(text) => line.message = text,
            Plan::Do(result, text) => (line.result, line.message) = (result, text),
        }
        if self.wish.dry_run {
            return Ok(());
        }
        self.hand_back(place, line).await
    }

    /// Where a policy has something, or why nowhere.
    async fn place_of(&self, policy: &ProbePolicy) -> anyhow::Result<Result<Place, String>> {
        let target = policy.spec.target_ref.clone();
        let namespace = policy.namespace().unwrap_or_default();
        if policy.spec.apply.delivery == Delivery::Admission {
            return Ok(Err("delivery Admission wrote nothing to it".to_owned()));
        }
        let status = policy.status.clone().unwrap_or_default();
        let duplicate = Reason::Duplicate.to_string();
        if status.conditions.iter().any(|one| one.reason == duplicate) {
            return Ok(Err("an older policy scales the same container".to_owned()));
        }
        let Some(workload) = read_workload(self.client, &namespace, &target).await? else {
            return Ok(Err(format!("there is no {}", target.display())));
        };
        if let Some(ignored) = self.ignored(&workload, &namespace).await? {
            return Ok(Err(ignored));
        }
        let parsed = Policy::try_from(&policy.spec).ok();
        let container = parsed.and_then(|policy| {
            let pinned = pinned(&policy, &status);
            let chosen = choose(&policy, pinned, &workload).ok();
            chosen
                .map(|one| one.name.clone())
                .or(pinned.map(str::to_owned))
        });
        let container = container.or(policy.spec.container_name.clone());
        Ok(container
            .map(|container| Place {
                namespace,
                target,
                container,
            })
            .ok_or_else(|| "it scales no container".to_owned()))
    }

    /// Why a workload is not touched.
    async fn ignored(
        &self,
        workload: &probepilot_policy::Workload,
        namespace: &str,
    ) -> anyhow::Result<Option<String>> {
        let what = if workload.ignored {
            workload.display()
        } else if self.namespaces.ignored(namespace).await? {
            format!("namespace {namespace}")
        } else {
            return Ok(None);
        };
        let text = format!("{what} is annotated probepilot.dev/ignore and stays as it is");
        Ok(Some(text))
    }

    /// Asks for the policy's end. From now on an operator writes nothing new for it; what it does because of the
    /// deletion is what is done here, so that one to be kept must say so first.
    async fn delete(&self, policy: &ProbePolicy, how: OnDelete) -> anyhow::Result<()> {
        let api = self.policies(policy);
        let name = policy.name_any();
        let says_otherwise = policy.spec.apply.on_delete == OnDelete::Restore;
        if how == OnDelete::Keep && says_otherwise {
            let keep = serde_json::json!({"spec": {"apply": {"onDelete": "Keep"}}});
            let patch = Patch::Merge(keep);
            match api.patch(&name, &PatchParams::default(), &patch).await {
                Err(kube::Error::Api(answer)) if answer.code == 404 => return Ok(()),
                other => other.context("apply.onDelete cannot be set to Keep")?,
            };
        }
        let params = DeleteParams {
            preconditions: Some(Preconditions {
                uid: policy.uid(),
                resource_version: None,
            }),
            ..DeleteParams::default()
        };
        match api.delete(&name, &params).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(answer)) if answer.code == 404 => Ok(()),
            Err(error) => Err(error).context("the policy cannot be deleted"),
        }
    }

    async fn hand_back(&self, place: &Place, line: &mut Line) -> anyhow::Result<()> {
        let done = hand_back(self.client, place, line.on_delete).await?;
        if let Some((_, event)) = done.told() {
            line.message = event.message;
        }
        line.result = match done {
            HandedBack::Missing | HandedBack::Nothing => Outcome::Nothing,
            HandedBack::Kept { .. } => Outcome::Kept,
            HandedBack::Returned { .. } => Outcome::Returned,
            HandedBack::Refused(sentence) => {
                line.message = format!("the API server refused it: {sentence}");
                Outcome::Failed
            }
        };
        Ok(())
    }

    /// Takes the finalizer off a policy that is being deleted.
    async fn free(&self, policy: &ProbePolicy) -> anyhow::Result<()> {
        let api = self.policies(policy);
        for attempt in 1..=TRIES {
            let now = api.get_opt(&policy.name_any()).await?;
            let now = now.filter(|now| now.uid() == policy.uid() && has_finalizer(now));
            let Some(now) = now else {
                return Ok(());
            };
            match write_finalizer(self.client, &now, Finalizer::Take).await? {
                Written::Accepted(_) | Written::Unneeded => return Ok(()),
                Written::Refused(sentence) => bail!("its finalizer cannot be removed: {sentence}"),
                Written::Outdated => tokio::time::sleep(AGAIN * attempt).await,
            }
        }
        bail!("its finalizer cannot be removed: others write it all the time")
    }

    fn policies(&self, policy: &ProbePolicy) -> Api<ProbePolicy> {
        Api::namespaced(self.client.clone(), &policy.namespace().unwrap_or_default())
    }
}
