//! `PUT bus/v1/subscriptions/{id}`: a subscription, new or with other topics.

use http::{Request, StatusCode};
use hyper::body::Incoming as Body;
use serde_json::Value;

use super::{BusDoor, Site, reply};
use crate::bus::{BusError, MAX_NAME, MAX_TOPICS};
use crate::event::Millis;
use crate::http::reply::{Answer, Refusal};
use crate::validate::plugin_token::Principal;

impl BusDoor {
    pub(super) async fn subscribe(
        &self,
        site: &Site,
        id: &str,
        request: Request<Body>,
        principal: &Principal,
    ) -> Result<Answer, Answer> {
        if id.len() > MAX_NAME {
            return Err(reply::input(&format!("the id of a subscription has at most {MAX_NAME} bytes")));
        }
        let (body, _reserved) = self.json(site, request).await?;
        let body: Value = serde_json::from_slice(&body.body).map_err(|error| reply::input(&error.to_string()))?;
        let topics = topics(&body).map_err(|message| reply::input(&message))?;
        match self.bus.subscribe(id, topics, principal.as_str(), Millis::now()).await {
            Ok(()) => Ok(reply::empty(StatusCode::CREATED)),
            Err(BusError::TooMany) => {
                tracing::error!("there are as many bus subscriptions as there can be: refused one");
                Err(Refusal::NoRoom.answer(false))
            }
            Err(BusError::NotSaved(error)) => {
                tracing::error!(error, "cannot write a bus subscription down");
                Err(Refusal::NoRoom.answer(false))
            }
        }
    }
}

fn topics(body: &Value) -> Result<Vec<String>, String> {
    let body = body.as_object().ok_or("request/body must be object")?;
    let topics = body.get("topics").ok_or("request/body must have required property 'topics'")?;
    let topics = topics.as_array().ok_or("request/body/topics must be array")?;
    if topics.len() > MAX_TOPICS {
        return Err(format!("request/body/topics must NOT have more than {MAX_TOPICS} items"));
    }
    let one = |(at, topic): (usize, &Value)| {
        let topic = topic.as_str().ok_or_else(|| format!("request/body/topics/{at} must be string"))?;
        if topic.len() > MAX_NAME {
            return Err(format!("request/body/topics/{at} must NOT have more than {MAX_NAME} characters"));
        }
        Ok(topic.to_owned())
    };
    topics.iter().enumerate().map(one).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn topics_are_a_list_of_texts() {
        assert_eq!(topics(&json!({ "topics": ["a", "b"], "more": 1 })), Ok(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(topics(&json!({ "topics": [] })), Ok(vec![]));
        for (body, why) in [
            (json!([]), "request/body must be object"),
            (json!({}), "request/body must have required property 'topics'"),
            (json!({ "topics": "a" }), "request/body/topics must be array"),
            (json!({ "topics": ["a", 1] }), "request/body/topics/1 must be string"),
        ] {
            assert_eq!(topics(&body), Err(why.to_owned()));
        }
    }
}
