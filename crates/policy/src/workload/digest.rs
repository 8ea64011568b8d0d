//! A checksum of a pod template without what the operator may write to one container, so that a
//! correction of our fields can be told from an upgrade.

use serde_json::Value;

use super::raw;
use crate::timing::TimingField;

/// FNV-1a with 64 bits, as in [`crate::StartKey`]: it is stored, so it must be the same in every build.
const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// Checksum of a template without one container's startup probe and liveness timings. An owner's own
/// startup probe is the caller's to add.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TemplateSum(u64);

impl TemplateSum {
    pub(super) fn each(template: Option<&Value>, containers: &[raw::Container]) -> Vec<Self> {
        let of = |container: &raw::Container| {
            let mut sum = Sum(BASIS);
            if let Some(template) = template {
                sum.template(template, &container.name);
            }
            Self(sum.0)
        };
        containers.iter().map(of).collect()
    }

    /// The checksum as status has it, together with the handler of an owner's startup probe.
    #[must_use]
    pub fn with(self, handler: Option<&serde_json::Map<String, Value>>) -> String {
        let mut sum = Sum(self.0);
        if let Some(handler) = handler {
            sum.map(handler.iter());
        }
        format!("{:016x}", sum.0)
    }
}

struct Sum(u64);

impl Sum {
    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(PRIME);
        }
        // Texts end, so that moving a letter from one to the next is a change.
        self.0 = (self.0 ^ 0xff).wrapping_mul(PRIME);
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Object(fields) => self.map(fields.iter()),
            Value::Array(items) => {
                self.add(b"[");
                for item in items {
                    self.value(item);
                }
                self.add(b"]");
            }
            other => self.add(other.to_string().as_bytes()),
        }
    }

    fn map<'a>(&mut self, fields: impl Iterator<Item = (&'a String, &'a Value)>) {
        let mut fields: Vec<_> = fields.collect();
        fields.sort_unstable_by_key(|(key, _)| *key);
        self.add(b"{");
        for (key, value) in fields {
            self.add(key.as_bytes());
            self.value(value);
        }
        self.add(b"}");
    }

    fn template(&mut self, template: &Value, container: &str) {
        let Some(fields) = template.as_object() else {
            return;
        };
        let spec = fields.get("spec").and_then(Value::as_object);
        self.map(fields.iter().filter(|(key, _)| *key != "spec"));
        let Some(spec) = spec else { return };
        self.map(spec.iter().filter(|(key, _)| *key != "containers"));
        let containers = spec.get("containers").and_then(Value::as_array);
        for item in containers.into_iter().flatten() {
            match item.as_object() {
                Some(fields) if item["name"] == container => self.container(fields),
                _ => self.value(item),
            }
        }
    }

    fn container(&mut self, fields: &serde_json::Map<String, Value>) {
        let probes = ["livenessProbe", "startupProbe"];
        self.map(
            fields
                .iter()
                .filter(|(key, _)| !probes.contains(&key.as_str())),
        );
        if let Some(liveness) = fields.get("livenessProbe").and_then(Value::as_object) {
            let timings = TimingField::ALL.map(TimingField::key);
            self.map(
                liveness
                    .iter()
                    .filter(|(key, _)| !timings.contains(&key.as_str())),
            );
        }
    }
}
