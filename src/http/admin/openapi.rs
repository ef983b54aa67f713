//! The API described for programs, `OpenAPI` 3.1 (<https://spec.openapis.org/oas/v3.1.0>), made from the table of calls and the
//! types that travel: it cannot say anything else than what is there.

use http::Response;
use http::header::{CONTENT_TYPE, HeaderValue};
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::desk::Trouble;
use super::request::Asked;
use super::routes::{BASE, Gives, ROUTES, Route};
use crate::api;
use crate::http::answer::Body;
use crate::http::reply::Answer;

pub(super) fn answer(asked: &Asked) -> Result<Answer, Trouble> {
    asked.only(&[])?;
    let mut answer = Response::new(Body::from(document().to_string()));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(answer)
}

/// The whole document.
fn document() -> Value {
    let settings =
        SchemaSettings::draft2020_12().with(|settings| settings.definitions_path = "/components/schemas".into());
    let mut generator = SchemaGenerator::new(settings);
    let failure = generator.subschema_for::<api::Failure>();
    let failure = json!({
        "description": "Why not, with a 4xx or 5xx status",
        "content": { "application/json": { "schema": failure } },
    });
    let mut paths = Map::new();
    for route in ROUTES {
        let path = paths.entry(format!("{BASE}{}", route.path)).or_insert_with(|| json!({}));
        path[route.method.as_str().to_ascii_lowercase()] = operation(route, &mut generator, &failure);
    }
    let schemas = generator.take_definitions(true);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "forebay admin API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Times are RFC 3339 in UTC; lists are paged by the opaque `next` of the answer before. \
                Unknown parameters and keys are refused.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
        },
        "security": [{}, { "token": [] }],
    })
}

fn operation(route: &Route, generator: &mut SchemaGenerator, failure: &Value) -> Value {
    let in_path = route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let in_path =
        in_path.map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }));
    let in_query = route.query.iter().map(
        |(name, means)| json!({ "name": name, "in": "query", "description": means, "schema": { "type": "string" } }),
    );
    let content = match route.gives {
        Gives::Json(schema) => json!({ "application/json": { "schema": schema(generator) } }),
        Gives::Other(media_type) => json!({ media_type: {} }),
    };
    let mut operation = json!({
        "summary": route.does,
        "operationId": format!("{:?}", route.call),
        "parameters": in_path.chain(in_query).collect::<Vec<_>>(),
        "responses": { "200": { "description": "Done", "content": content }, "default": failure },
    });
    if let Some(schema) = route.takes {
        operation["requestBody"] = json!({ "content": { "application/json": { "schema": schema(generator) } } });
    }
    operation
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_lead_somewhere() {
        fn walk(value: &Value, document: &Value, seen: &mut usize) {
            match value {
                Value::Object(map) => {
                    if let Some(Value::String(reference)) = map.get("$ref") {
                        *seen += 1;
                        let pointer = reference.strip_prefix('#').expect("within the document");
                        assert!(document.pointer(pointer).is_some(), "{reference}");
                    }
                    map.values().for_each(|value| walk(value, document, seen));
                }
                Value::Array(list) => list.iter().for_each(|value| walk(value, document, seen)),
                _ => {}
            }
        }
        let document = document();
        let mut seen = 0;
        walk(&document, &document, &mut seen);
        assert!(seen >= ROUTES.len(), "{seen} references");
    }
}
