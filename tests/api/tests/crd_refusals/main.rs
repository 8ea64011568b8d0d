//! Bad policies and the sentence with which the API server refuses each. The tables hold every CEL rule, every bound, every list of values and
//! every required field of the spec, and a test compares them with the schema: a new rule without a case fails.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod cases;
mod tables;

use std::collections::BTreeSet;

use kube::api::{DynamicObject, GroupVersionKind, PostParams};
use kube::core::ApiResource;
use kube::{Api, Client};
use probepilot_test_api::Scene;
use probepilot_test_api::crd::{causes, full_policy, install_own, spec_fields};
use serde_json::{Value, json};

use crate::cases::{Bad, bad, list, schema_path, with};
use crate::tables::{API_VERSION, LISTS, NUMBERS, REQUIRED, TEXTS, VALUES, rules};

fn policies(client: &Client, namespace: &str) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("probepilot.dev", "v1alpha1", "ProbePolicy");
    let resource = ApiResource::from_gvk_with_plural(&kind, "probepolicies");
    Api::namespaced_with(client.clone(), namespace, &resource)
}

/// Asks the API server what it would say.
async fn try_out(api: &Api<DynamicObject>, policy: &Value) -> kube::Result<DynamicObject> {
    let params = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let object = serde_json::from_value(policy.clone()).unwrap();
    api.create(&params, &object).await
}

/// Whether a refusal begins with the sentence of the case; a value beyond a bound may break a rule as well.
fn told(causes: &[(String, String)], case: &Bad) -> bool {
    let Some(((field, sentence), others)) = causes.split_first() else {
        return false;
    };
    // The server puts "Invalid value: " and the value before the message of a rule.
    let says = |sentence: &str, expected: &str| {
        sentence == expected || sentence.ends_with(&format!(": {expected}"))
    };
    let rules = rules();
    let known = |sentence: &str| rules.iter().any(|(.., rule)| says(sentence, rule));
    field == &case.field
        && says(sentence, &case.sentence)
        && others.iter().all(|(_, sentence)| known(sentence))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_policy_is_refused_with_its_sentence() {
    let scene = Scene::new("crd-refusals").await;
    install_own(&scene.admin).await;
    let api = policies(&scene.admin, scene.ns());
    try_out(&api, &full_policy())
        .await
        .expect("the policy that the others are made from");
    let mut wrong = Vec::new();
    for case in bad() {
        match try_out(&api, &case.policy).await {
            Ok(_) => wrong.push(format!("{}: accepted", case.name)),
            Err(error) => {
                let causes = causes(&error);
                if !told(&causes, &case) {
                    wrong.push(format!(
                        "{}: {causes:#?}\nnot {}: {}",
                        case.name, case.field, case.sentence
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bound_itself_is_accepted() {
    let scene = Scene::new("crd-bounds").await;
    install_own(&scene.admin).await;
    let api = policies(&scene.admin, scene.ns());
    let mut good = Vec::new();
    for &(pointer, low, high) in NUMBERS {
        good.push((pointer.replace('*', "0"), json!(low)));
        good.push((pointer.replace('*', "1"), json!(high)));
    }
    for &(pointer, low, high) in TEXTS {
        good.extend([low, high].map(|length| (pointer.to_owned(), json!("a".repeat(length)))));
    }
    for &(pointer, low, high) in LISTS {
        good.extend([low, high].map(|length| (pointer.to_owned(), list(pointer, length))));
    }
    for &(pointer, values) in VALUES {
        good.extend(
            values
                .iter()
                .map(|value| (pointer.to_owned(), json!(value))),
        );
    }
    for (pointer, value) in good {
        let tried = try_out(&api, &with(&pointer, value.clone())).await;
        if let Err(error) = tried {
            panic!("{pointer} = {value}: {:?}", causes(&error));
        }
    }
    scene.end().await;
}

/// Whatever can refuse a policy, as `field facet value`.
fn refusable() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (path, schema) in spec_fields() {
        let mut facet = |name: &str, value: Option<String>| {
            found.extend(value.map(|value| format!("{path} {name} {value}")));
        };
        facet("minimum", schema.minimum.map(|bound| bound.to_string()));
        facet("maximum", schema.maximum.map(|bound| bound.to_string()));
        // A shortest length of 0 refuses nothing.
        let above_0 = |bound: Option<i64>| bound.filter(|bound| *bound > 0);
        facet(
            "minLength",
            above_0(schema.min_length).map(|bound| bound.to_string()),
        );
        facet(
            "maxLength",
            schema.max_length.map(|bound| bound.to_string()),
        );
        facet(
            "minItems",
            above_0(schema.min_items).map(|bound| bound.to_string()),
        );
        facet("maxItems", schema.max_items.map(|bound| bound.to_string()));
        facet("pattern", schema.pattern);
        let values = schema.enum_.map(|values| {
            let values = values.iter().map(|value| value.0.to_string());
            values.collect::<Vec<_>>().join(",")
        });
        facet("enum", values);
        for rule in schema.x_kubernetes_validations.into_iter().flatten() {
            facet("rule", rule.message);
        }
        for field in schema.required.into_iter().flatten() {
            found.insert(format!("{path}.{field} required"));
        }
    }
    found
}

/// The same from the tables.
fn tabled() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for &(pointer, low, high) in NUMBERS {
        let path = schema_path(pointer);
        found.extend([
            format!("{path} minimum {low}"),
            format!("{path} maximum {high}"),
        ]);
    }
    for &(pointer, low, high) in TEXTS {
        let path = schema_path(pointer);
        found.insert(format!("{path} maxLength {high}"));
        found.extend((low > 0).then(|| format!("{path} minLength {low}")));
    }
    found.insert(format!(
        "{} maxLength {}",
        schema_path(API_VERSION.0),
        API_VERSION.1
    ));
    for &(pointer, low, high) in LISTS {
        let path = schema_path(pointer);
        found.insert(format!("{path} maxItems {high}"));
        found.extend((low > 0).then(|| format!("{path} minItems {low}")));
    }
    for &(pointer, values) in VALUES {
        let quoted: Vec<_> = values.iter().map(|value| format!("{value:?}")).collect();
        found.insert(format!(
            "{} enum {}",
            schema_path(pointer),
            quoted.join(",")
        ));
    }
    for pointer in REQUIRED {
        found.insert(format!("{} required", schema_path(pointer)));
    }
    for (_, _, _, field, sentence) in rules() {
        let pointer = format!("/{}", field.replace(['.', '['], "/").replace(']', ""));
        found.insert(format!("{} rule {sentence}", schema_path(&pointer)));
    }
    found
}

#[test]
fn the_tables_hold_every_rule_and_bound_of_the_schema() {
    let (schema, tables) = (refusable(), tabled());
    let missing: Vec<_> = schema.difference(&tables).collect();
    let extra: Vec<_> = tables.difference(&schema).collect();
    assert!(
        missing.is_empty() && extra.is_empty(),
        "in the schema, without a case: {missing:#?}\ncases for what the schema does not have: {extra:#?}"
    );
    assert!(schema.len() > 60, "the walk found {} only", schema.len());
}
