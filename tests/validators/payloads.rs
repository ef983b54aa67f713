//! Real shapes of events: type and id are where the validator says.

use forebay::validate::Source;
use serde_json::Value;

use crate::request::{NOW, ORIGIN, post, secret, validator, verdict};

/// Type of validator, payload, and what its body says of type and id.
const PAYLOADS: [(&str, &str, Option<&str>, Option<&str>); 17] = [
    ("github", "github-push.json", None, None),
    ("github", "github-star.json", None, None),
    ("bitbucket-cloud", "bitbucket-cloud-push.json", None, None),
    ("bitbucket-server", "bitbucket-server-refs-changed.json", None, None),
    ("gitlab", "gitlab-merge-request.json", Some("merge_request"), None),
    ("gitlab-signed", "gitlab-system-project-create.json", Some("project_create"), None),
    ("gitea", "gitea-push.json", None, None),
    ("azure-devops", "azure-devops-git-push.json", Some("git.push"), Some("03c164c2-8912-4d5e-8009-3707d5f83734")),
    ("gerrit", "gerrit-patchset-created.json", Some("patchset-created"), None),
    ("jira", "jira-issue-created.json", Some("jira:issue_created"), None),
    ("slack", "slack-message.json", Some("message"), Some("Ev08MFMKH6")),
    ("stripe", "stripe-invoice-paid.json", Some("invoice.paid"), Some("evt_1NG8Du2eZvKYlo2CUI79vXWy")),
    (
        "pagerduty",
        "pagerduty-incident.json",
        Some("incident.priority_updated"),
        Some("5ac64822-4adc-4fda-ade0-410becf0de4f"),
    ),
    ("terraform", "terraform-run.json", Some("run:errored"), Some("run-FwnENkvDnrpyFC7M")),
    ("square", "square-payment.json", Some("payment.created"), Some("13b867cf-db3d-4b1c-90b6-2f32a9d78124")),
    ("hubspot", "hubspot-batch.json", None, Some("3816279340")),
    ("standard-webhooks", "stripe-invoice-paid.json", Some("invoice.paid"), None),
];

fn first(sources: &[Source], body: &Value) -> Option<String> {
    sources.iter().find_map(|source| match source {
        Source::Header(_) => None,
        Source::Body(pointer) => match body.pointer(pointer.as_str())? {
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        },
    })
}

#[test]
fn type_and_id_are_where_they_are_looked_for() {
    for (kind, file, event_type, id) in PAYLOADS {
        let path = format!("{}/tests/fixtures/payloads/{file}", env!("CARGO_MANIFEST_DIR"));
        let body = std::fs::read(path).expect(file);
        let parsed: Value = serde_json::from_slice(&body).expect(file);
        let validator = validator(kind, secret(kind));
        assert_eq!(first(validator.event_type(), &parsed).as_deref(), event_type, "{file}");
        assert_eq!(first(validator.delivery_id(), &parsed).as_deref(), id, "{file}");
        let sent = validator.sign(&format!("{ORIGIN}/t"), &body, Some("push"), NOW).expect("signed");
        let sent: Vec<(&str, &str)> = sent.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(verdict(&validator, post("/t", &sent, body)), "genuine", "{file}");
    }
}
