//! The server's API: REST over rooms, participants and tokens, for an application's own server and for operators.
//!
//! Handlers read requests, ask rooms, and write answers; nothing is decided here but who may ask ([`guard`], by one table of
//! scopes). The OpenAPI document is made of the handlers and of the types in [`schema`].

mod error;
mod event;
mod guard;
mod message;
mod participant;
mod room;
mod schema;
mod status;
mod token;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::header;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, delete, get, post};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi as Document, Ref, RefOr, ResponseBuilder};
use utoipa::{Modify, OpenApi};

use crate::app::App;

/// Bytes of a request's body: the longest message on a topic in base64, and what stands around it.
const BODY_BYTES: usize = 384 * 1024;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Patchbay",
        description = "The server's API: rooms, participants, messages, tokens, events.",
        license(name = "MIT OR Apache-2.0")
    ),
    paths(
        room::list, room::create, room::show, room::update, room::close, room::tracks, room::unban, participant::list,
        participant::show, participant::update, participant::remove, participant::mute, participant::admit,
        participant::deny, message::call, message::history, message::chat, message::data, token::mint, token::revoke,
        status::status, event::events
    ),
    components(schemas(error::ApiErrorBody, schema::IdentityText, schema::RoomText)),
    modifiers(&Security)
)]
struct Root;

struct Security;

impl Modify for Security {
    fn modify(&self, document: &mut Document) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
        let components = document.components.get_or_insert_with(Default::default);
        components.add_security_scheme("bearer", SecurityScheme::Http(scheme));
    }
}

/// The document that describes the routes.
fn document() -> Document {
    let mut document = Root::openapi();
    // Errors have one shape wherever they come from.
    let error = Ref::from_schema_name("ApiErrorBody");
    let content = ContentBuilder::new().schema(Some(RefOr::Ref(error))).build();
    let refusal = ResponseBuilder::new()
        .description("Refused; `code` says why, and `retry_after_ms` when to try again.")
        .content("application/json", content)
        .build();
    for item in document.paths.paths.values_mut() {
        let operations = [&mut item.get, &mut item.post, &mut item.patch, &mut item.delete];
        for operation in operations.into_iter().flatten() {
            operation.responses.responses.insert("default".into(), RefOr::T(refusal.clone()));
        }
    }
    document
}

fn operations() -> Router<App> {
    let participant = "/v1/rooms/{room}/participants/{identity}";
    Router::new()
        .route("/v1/rooms", get(room::list).post(room::create))
        .route("/v1/rooms/{room}", get(room::show).patch(room::update).delete(room::close))
        .route("/v1/rooms/{room}/tracks", get(room::tracks))
        .route("/v1/rooms/{room}/bans/{identity}", delete(room::unban))
        .route("/v1/rooms/{room}/participants", get(participant::list))
        .route(participant, get(participant::show).patch(participant::update).delete(participant::remove))
        .route(&format!("{participant}/mute"), post(participant::mute))
        .route(&format!("{participant}/admit"), post(participant::admit))
        .route(&format!("{participant}/deny"), post(participant::deny))
        .route(&format!("{participant}/rpc"), post(message::call))
        .route("/v1/rooms/{room}/chat", get(message::history).post(message::chat))
        .route("/v1/rooms/{room}/data", post(message::data))
        .route("/v1/tokens", post(token::mint))
        .route("/v1/revocations", post(token::revoke))
        .route("/v1/status", get(status::status))
        .route("/v1/events", get(event::events))
}

/// The API's routes. Whatever else begins with `/v1/` is answered as the API answers.
pub(crate) fn routes(app: &App) -> Router<App> {
    // It is made of literals; a test reads it.
    let text = self::document().to_json().unwrap_or_default();
    let document = move || async move { described_as(text) };
    operations()
        .route("/v1/openapi.json", get(document))
        .route_layer(from_fn_with_state(app.clone(), guard::guard))
        .method_not_allowed_fallback(error::method_not_allowed)
        .route("/v1/{*path}", any(error::unknown_path))
        .layer(DefaultBodyLimit::max(BODY_BYTES))
}

fn described_as(text: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_operation_has_a_scope_in_the_table_and_no_other_is_there() {
        let document = document();
        let mut operations = BTreeSet::new();
        for (path, item) in &document.paths.paths {
            let methods =
                [("GET", &item.get), ("POST", &item.post), ("PATCH", &item.patch), ("DELETE", &item.delete)];
            for (method, operation) in methods {
                if let Some(operation) = operation {
                    operations.insert((method, path.as_str()));
                    assert!(operation.security.is_some(), "{method} {path} names no token");
                    assert!(operation.operation_id.is_some(), "{method} {path}");
                }
            }
        }
        let table: BTreeSet<_> = guard::TABLE.iter().map(|(method, path, _)| (*method, *path)).collect();
        assert_eq!(table, operations);
        let text = document.to_json().unwrap();
        let schemas = &document.components.unwrap().schemas;
        let references: BTreeSet<&str> =
            text.split("\"#/components/schemas/").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert!(references.contains("ApiErrorBody"));
        for name in references {
            assert!(schemas.contains_key(name), "{name} is not in the document");
        }
    }
}
