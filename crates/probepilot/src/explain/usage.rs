//! What containers use, as metrics.k8s.io says it: only advice looks at it.

use super::scene::Usage;
use kube::api::{Api, ApiResource, DynamicObject};
use kube::core::GroupVersionKind;
use kube::{Client, Error};
use probepilot_operator::deadline::within;
use probepilot_policy::{Quantity, Unmeasured};
use serde_json::Value;
use std::time::Duration;

/// Longest time for one read: an aggregated API may hang when what serves it is gone.
const DEADLINE: Duration = Duration::from_secs(3);
const FORBIDDEN: u16 = 403;

/// Containers and what they use, of a PodMetrics object (metrics.k8s.io/v1beta1).
pub(super) fn parse(metrics: &Value) -> Vec<(String, Usage)> {
    let containers = metrics["containers"].as_array();
    let usage = containers.into_iter().flatten().filter_map(|container| {
        let amount = |name| Quantity::parse(container["usage"][name].as_str()?);
        let usage = Usage {
            cpu: amount("cpu"),
            memory: amount("memory"),
        };
        Some((container["name"].as_str()?.to_owned(), usage))
    });
    usage.collect()
}

/// Reads what the containers of one pod use.
pub(super) async fn read(
    client: &Client,
    namespace: &str,
    pod: &str,
) -> Result<Vec<(String, Usage)>, Unmeasured> {
    let kind = GroupVersionKind::gvk("metrics.k8s.io", "v1beta1", "PodMetrics");
    let resource = ApiResource::from_gvk_with_plural(&kind, "pods");
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
    match within(DEADLINE, "metrics.k8s.io", api.get_opt(pod)).await {
        Ok(Ok(Some(metrics))) => Ok(parse(&metrics.data)),
        Ok(Ok(None)) => Err(Unmeasured::NotFound),
        Ok(Err(Error::Api(status))) if status.code == FORBIDDEN => Err(Unmeasured::Forbidden),
        Ok(Err(_)) | Err(_) => Err(Unmeasured::Unavailable),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_container_has_its_own_use_and_what_cannot_be_read_is_unknown() {
        let metrics = json!({"containers": [
            {"name": "a", "usage": {"cpu": "95000000n", "memory": "131072Ki"}},
            {"name": "b", "usage": {"cpu": "much"}},
            {"usage": {"cpu": "1"}},
        ]});
        let found = parse(&metrics);
        let expected = [
            ("a", Quantity::parse("95m"), Quantity::parse("128Mi")),
            ("b", None, None),
        ];
        assert_eq!(found.len(), expected.len());
        for ((name, usage), (expected, cpu, memory)) in found.into_iter().zip(expected) {
            assert_eq!(
                (name.as_str(), usage.cpu, usage.memory),
                (expected, cpu, memory)
            );
        }
    }
}
