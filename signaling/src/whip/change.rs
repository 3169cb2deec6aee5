//! `PATCH` (trickle and ICE restart, RFC 9725 §4.3) and `DELETE`.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use patchbay_protocol::{ClientRequest, ErrorCode, ProtocolError, Reply};
use patchbay_sdp::{Fragment, FragmentSection, IceCredentials, Limits, Offer};
use tracing::info;

use super::create::is_media_type;
use super::reply::{Refusal, add_ice_links};
use super::resource::{IceSession, Resource, new_etag};
use super::{FRAGMENT, Kind};
use crate::app::App;
use crate::auth::bearer;
use crate::rooms::now;

type Body = Result<Bytes, BytesRejection>;
type Place = Path<(String, String)>;

pub(super) async fn patch_whip(
    State(app): State<App>,
    Path(place): Place,
    headers: HeaderMap,
    body: Body,
) -> Response {
    patch(&app, Kind::Whip, place, &headers, body).await.unwrap_or_else(IntoResponse::into_response)
}

pub(super) async fn patch_whep(
    State(app): State<App>,
    Path(place): Place,
    headers: HeaderMap,
    body: Body,
) -> Response {
    patch(&app, Kind::Whep, place, &headers, body).await.unwrap_or_else(IntoResponse::into_response)
}

pub(super) async fn delete_whip(State(app): State<App>, Path(place): Place, headers: HeaderMap) -> Response {
    delete(&app, Kind::Whip, place, &headers).await.unwrap_or_else(IntoResponse::into_response)
}

pub(super) async fn delete_whep(State(app): State<App>, Path(place): Place, headers: HeaderMap) -> Response {
    delete(&app, Kind::Whep, place, &headers).await.unwrap_or_else(IntoResponse::into_response)
}

async fn delete(
    app: &App,
    kind: Kind,
    place: (String, String),
    headers: &HeaderMap,
) -> Result<Response, Refusal> {
    let resource = find(app, kind, &place, headers)?;
    resource.ask(ClientRequest::Leave {}).await?;
    info!(room = %resource.room, ?kind, "resource ended by its client");
    Ok(StatusCode::OK.into_response())
}

async fn patch(
    app: &App,
    kind: Kind,
    place: (String, String),
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let resource = find(app, kind, &place, headers)?;
    if !is_media_type(headers, FRAGMENT) {
        let message = "a fragment is application/trickle-ice-sdpfrag";
        return Err(Refusal::Status(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
    }
    let Some(condition) = headers.get(header::IF_MATCH).and_then(|value| value.to_str().ok()) else {
        let message = "If-Match is needed: the ETag to trickle, \"*\" to restart ICE";
        return Err(Refusal::Status(StatusCode::PRECONDITION_REQUIRED, message));
    };
    let body = body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            Refusal::Status(StatusCode::PAYLOAD_TOO_LARGE, "the fragment is too large")
        }
        _ => Refusal::Status(StatusCode::BAD_REQUEST, "the body can't be read"),
    })?;
    let text = std::str::from_utf8(&body)
        .map_err(|_| Refusal::Status(StatusCode::BAD_REQUEST, "a fragment is UTF-8 text"))?;
    let fragment = Fragment::parse(text, &Limits::default()).map_err(|error| {
        ProtocolError::new(ErrorCode::InvalidArgument, format!("the fragment can't be read: {error}"))
    })?;
    let Ok(mut session) = resource.ice.try_lock() else {
        return Err(Refusal::Status(StatusCode::CONFLICT, "an ICE restart is under way"));
    };
    let is_current = fragment.ice.as_ref().is_none_or(|ice| is_current_ice(&session.offer.sdp, ice));
    // Browsers' proxies may quote the star.
    let is_any = matches!(condition.trim(), "*" | "\"*\"");
    if !is_any && !condition.split(',').any(|tag| tag.trim() == session.etag) {
        return Err(Refusal::Status(StatusCode::PRECONDITION_FAILED, "the ETag is of another ICE session"));
    }
    match (&fragment.ice, is_current) {
        (_, true) => {
            trickle(&resource, &fragment).await?;
            Ok(StatusCode::NO_CONTENT.into_response())
        }
        (Some(ice), false) if is_any => restart(app, &resource, &mut session, ice, &fragment).await,
        _ => Err(Refusal::Status(
            StatusCode::BAD_REQUEST,
            "new credentials restart ICE, which needs If-Match: \"*\"",
        )),
    }
}

async fn trickle(resource: &Resource, fragment: &Fragment) -> Result<(), Refusal> {
    for candidate in fragment.candidates() {
        let request = ClientRequest::Candidate { candidate: candidate.to_string(), mid: None };
        resource.ask(request).await?;
    }
    Ok(())
}

async fn restart(
    app: &App,
    resource: &Resource,
    session: &mut IceSession,
    ice: &IceCredentials,
    fragment: &Fragment,
) -> Result<Response, Refusal> {
    let mut offer = session.offer.clone();
    offer.sdp = with_credentials(&offer.sdp, ice);
    // Slots keep what they follow by now.
    offer.slots.clear();
    let Reply::Answered(answer) = resource.ask(ClientRequest::Offer { offer: offer.clone() }).await? else {
        return Err(ProtocolError::new(ErrorCode::Internal, "the room answered something else").into());
    };
    session.offer.sdp = offer.sdp;
    session.etag = new_etag();
    trickle(resource, fragment).await?;
    let body = answer_fragment(&answer.sdp)
        .ok_or_else(|| ProtocolError::new(ErrorCode::Internal, "the answer can't be read"))?;
    info!(room = %resource.room, "ICE restarted");
    let mut response = (StatusCode::OK, body).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(FRAGMENT));
    if let Ok(etag) = HeaderValue::from_str(&session.etag) {
        response.headers_mut().insert(header::ETAG, etag);
    }
    // Those of the first answer may have expired by now.
    add_ice_links(response.headers_mut(), &app.ice_servers.issue(&resource.session, now().unix_ms));
    Ok(response)
}

fn find(
    app: &App,
    kind: Kind,
    place: &(String, String),
    headers: &HeaderMap,
) -> Result<Arc<Resource>, Refusal> {
    let unknown = Refusal::Status(StatusCode::NOT_FOUND, "no such resource");
    let resource = app.resources.find(kind, &place.0, &place.1).ok_or(unknown)?;
    let token = bearer(headers);
    if !app.config.is_open() && token.is_none() {
        return Err(ProtocolError::new(
            ErrorCode::TokenMissing,
            "the token that made the resource is needed",
        )
        .into());
    }
    if !resource.is_opened_by(token) {
        return Err(Refusal::Status(StatusCode::FORBIDDEN, "another token made this resource"));
    }
    Ok(resource)
}

fn is_current_ice(sdp: &str, ice: &IceCredentials) -> bool {
    let value = |name: &str| sdp.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    value("a=ice-ufrag:") == Some(&ice.ufrag) && value("a=ice-pwd:") == Some(&ice.pwd)
}

/// The same offer for another ICE session: other credentials, and none of the candidates of the old one.
fn with_credentials(sdp: &str, ice: &IceCredentials) -> String {
    let mut text = String::with_capacity(sdp.len());
    for line in sdp.lines() {
        match line.split_once(':').map_or(line, |(name, _)| name) {
            "a=candidate" | "a=end-of-candidates" => continue,
            "a=ice-ufrag" => text.extend(["a=ice-ufrag:", &ice.ufrag]),
            "a=ice-pwd" => text.extend(["a=ice-pwd:", &ice.pwd]),
            _ => text.push_str(line),
        }
        text.push_str("\r\n");
    }
    text
}

/// What of an answer belongs into a fragment: credentials and candidates.
fn answer_fragment(sdp: &str) -> Option<String> {
    let answer = Offer::parse(sdp, &Limits::default()).ok()?;
    let section =
        answer.sections.iter().find(|section| !section.candidates.is_empty()).or(answer.sections.first())?;
    let sections = vec![FragmentSection {
        mid: section.mid.clone(),
        candidates: section.candidates.clone(),
        end_of_candidates: true,
    }];
    let fragment = Fragment {
        ice: Some(answer.ice.clone()),
        ice_lite: answer.ice_lite,
        end_of_candidates: false,
        sections,
    };
    Some(fragment.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offer_changes_its_ice_session_and_nothing_else() {
        let sdp = "v=0\r\na=ice-ufrag:old1\r\na=ice-pwd:oldoldoldoldoldoldoldold\r\nm=audio 9 X 0\r\n\
                   a=candidate:1 1 udp 1 192.0.2.1 1 typ host\r\na=mid:0\r\na=end-of-candidates\r\n";
        let ice = IceCredentials::new("new1", "newnewnewnewnewnewnewnew").unwrap();
        assert!(!is_current_ice(sdp, &ice));
        let changed = with_credentials(sdp, &ice);
        let expected =
            "v=0\r\na=ice-ufrag:new1\r\na=ice-pwd:newnewnewnewnewnewnewnew\r\nm=audio 9 X 0\r\na=mid:0\r\n";
        assert_eq!(changed, expected);
        assert!(is_current_ice(&changed, &ice));
    }
}
