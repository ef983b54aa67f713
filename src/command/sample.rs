//! A small body such as each provider sends, for `send` without one and for the lines of `dev`.

use crate::event::Millis;

/// What is sent for want of anything else.
#[derive(Debug)]
pub(super) struct Sample {
    /// The type of the event, where the provider's events have one.
    pub(super) kind: Option<String>,
    /// Whether the body says it.
    pub(super) says_kind: bool,
    /// The body.
    pub(super) body: String,
}

/// The sample of a validator type; `kind` in place of its own type of event, `id` where the body holds an id.
pub(super) fn sample(validator: &str, kind: Option<&str>, id: &str, now: Millis) -> Sample {
    let (own, body) = template(validator);
    let kind = kind.or(own);
    // In a JSON string, without its quotation marks.
    let quoted = serde_json::Value::from(kind.unwrap_or_default()).to_string();
    let says_kind = body.contains("<type>");
    let body = body
        .replace("<id>", id)
        .replace("<seconds>", &now.seconds().to_string())
        .replace("<millis>", &now.0.to_string())
        .replace("<time>", &now.to_string())
        // Last: what is put in for it is not ours and may hold anything.
        .replace("<type>", &quoted[1..quoted.len() - 1]);
    Sample { kind: kind.map(str::to_owned), says_kind, body }
}

/// A type of event and a body. `<type>`, `<id>`, `<time>`, `<seconds>` and `<millis>` are put in.
fn template(validator: &str) -> (Option<&'static str>, &'static str) {
    const GITEA: &str = r#"{"ref":"refs/heads/main","after":"bffeb74224043ba2feb48d137756c8a9331c449a","commits":[{"message":"Say hello"}],"repository":{"full_name":"acme/widgets"},"pusher":{"login":"ada"}}"#;
    const STANDARD: &str = r#"{"type":"<type>","timestamp":"<time>","data":{"id":"<id>"}}"#;
    match validator {
        "github" => (
            Some("push"),
            r#"{"ref":"refs/heads/main","after":"6113728f27ae82c7b1a177c8d03f9e96e0adf246","commits":[{"message":"Say hello"}],"repository":{"full_name":"acme/widgets"},"pusher":{"name":"ada"}}"#,
        ),
        "bitbucket-cloud" => (
            Some("repo:push"),
            r#"{"push":{"changes":[{"new":{"type":"branch","name":"main"}}]},"repository":{"full_name":"acme/widgets"},"actor":{"nickname":"ada"}}"#,
        ),
        "bitbucket-server" => (
            Some("repo:refs_changed"),
            r#"{"eventKey":"<type>","date":"<time>","actor":{"name":"ada"},"repository":{"slug":"widgets","project":{"key":"ACME"}},"changes":[{"refId":"refs/heads/main","type":"UPDATE"}]}"#,
        ),
        "gitlab" | "gitlab-signed" => (
            Some("push"),
            r#"{"object_kind":"<type>","ref":"refs/heads/main","user_username":"ada","project":{"path_with_namespace":"acme/widgets"},"total_commits_count":1}"#,
        ),
        "gitea" | "forgejo" | "gogs" => (Some("push"), GITEA),
        "azure-devops" => (
            Some("git.push"),
            r#"{"id":"<id>","eventType":"<type>","publisherId":"tfs","message":{"text":"ada pushed to widgets:main"},"createdDate":"<time>"}"#,
        ),
        "gerrit" => (
            Some("patchset-created"),
            r#"{"type":"<type>","change":{"project":"widgets","branch":"main","number":1},"patchSet":{"number":1},"eventCreatedOn":<seconds>}"#,
        ),
        "jira" => (
            Some("jira:issue_created"),
            r#"{"timestamp":<millis>,"webhookEvent":"<type>","issue":{"key":"ACME-1","fields":{"summary":"Say hello"}}}"#,
        ),
        "slack" => (
            Some("message"),
            r#"{"type":"event_callback","event_id":"<id>","event_time":<seconds>,"event":{"type":"<type>","channel":"C2147483705","user":"U2147483697","text":"hello"}}"#,
        ),
        "stripe" => (
            Some("invoice.paid"),
            r#"{"id":"<id>","object":"event","type":"<type>","created":<seconds>,"livemode":false,"data":{"object":{"id":"in_1","object":"invoice"}}}"#,
        ),
        "shopify" => (Some("orders/create"), r#"{"id":820982911946154508,"currency":"EUR","total_price":"10.00"}"#),
        "linear" => (
            Some("Issue"),
            r#"{"action":"create","type":"Issue","data":{"id":"<id>","title":"Say hello"},"webhookTimestamp":<millis>}"#,
        ),
        "standard-webhooks" | "svix" => (Some("message.sent"), STANDARD),
        "circleci" => (
            Some("workflow-completed"),
            r#"{"id":"<id>","type":"<type>","happened_at":"<time>","workflow":{"name":"build","status":"success"}}"#,
        ),
        "buildkite" => {
            (Some("build.finished"), r#"{"event":"<type>","build":{"number":1,"state":"passed","branch":"main"}}"#)
        }
        "pagerduty" => (
            Some("incident.triggered"),
            r#"{"event":{"id":"<id>","event_type":"<type>","occurred_at":"<time>","data":{"type":"incident","title":"hello"}}}"#,
        ),
        "sentry" => (Some("issue"), r#"{"action":"created","data":{"issue":{"id":"1","title":"hello"}}}"#),
        "terraform" => (
            Some("run:completed"),
            r#"{"payload_version":1,"run_id":"run-<id>","workspace_name":"widgets","notifications":[{"message":"Run Applied","trigger":"<type>","run_status":"applied"}]}"#,
        ),
        "meta" => (Some("page"), r#"{"object":"<type>","entry":[{"id":"1","time":<seconds>,"changes":[]}]}"#),
        "discord" => {
            (Some("APPLICATION_AUTHORIZED"), r#"{"version":1,"type":1,"event":{"type":"<type>","timestamp":"<time>"}}"#)
        }
        "twilio" => (None, "MessageSid=<id>&From=%2B14155550100&To=%2B14155550101&Body=hello"),
        "square" => (
            Some("payment.created"),
            r#"{"merchant_id":"6SSW7HV8K2ST5","type":"<type>","event_id":"<id>","created_at":"<time>","data":{"type":"payment"}}"#,
        ),
        "hubspot" => (
            None,
            r#"[{"eventId":"<id>","subscriptionType":"contact.creation","occurredAt":<millis>,"attemptNumber":0,"objectId":123}]"#,
        ),
        "zendesk" => (
            Some("zen:event-type:user.created"),
            r#"{"id":"<id>","type":"<type>","time":"<time>","subject":"zen:user:1","event":{}}"#,
        ),
        "intercom" => (
            Some("conversation.user.created"),
            r#"{"type":"notification_event","id":"<id>","topic":"<type>","created_at":<seconds>,"data":{"type":"notification_event_data"}}"#,
        ),
        "dropbox" => {
            (None, r#"{"list_folder":{"accounts":["dbid:AAH4f99T0taONIb-OurWxbNQ6ywGRopQngc"]},"delta":{"users":[1]}}"#)
        }
        "asana" => (
            None,
            r#"{"events":[{"action":"added","created_at":"<time>","resource":{"gid":"1","resource_type":"task"}}]}"#,
        ),
        "outpost" => (Some("user.created"), r#"{"id":"<id>","name":"ada"}"#),
        _ => (None, r#"{"message":"hello","time":"<time>"}"#),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{json, validate};

    #[test]
    fn every_sample_is_well_formed_whatever_is_put_in() {
        for validator in validate::kinds() {
            for kind in [None, Some("a\"<id>\\\n")] {
                let sample = sample(validator, kind, "the-id", Millis(1_795_420_800_123));
                if *validator == "twilio" {
                    assert!(sample.body.starts_with("MessageSid=the-id&"));
                    continue;
                }
                assert_eq!(json::check(sample.body.as_bytes()), Ok(()), "{validator}: {}", sample.body);
                assert!(kind.is_none() || sample.kind.as_deref() == kind);
                assert_eq!(sample.says_kind && kind.is_some(), sample.body.contains(r#""a\"<id>\\\n""#), "{validator}");
            }
        }
    }
}
