//! Refused requests and the answer each gets: the protocol's numeric codes. Knows nothing of how a request is judged.

use hyper::header::{ALLOW, CONNECTION, CONTENT_TYPE, HeaderValue, SEC_WEBSOCKET_VERSION};
use hyper::{Response, StatusCode};

use super::body::Body;

/// Why a request was refused before it reached a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum RequestError {
    /// `transport` is missing, unknown or not offered.
    #[error("Transport unknown")]
    UnknownTransport,
    /// There is no such session.
    #[error("Session ID unknown")]
    UnknownSid,
    /// A session can only be opened by GET.
    #[error("Bad handshake method")]
    BadMethod,
    /// The request contradicts itself or its session.
    #[error("Bad request")]
    BadRequest,
    /// The websocket handshake is malformed.
    #[error("Bad request")]
    BadWebSocket,
    /// Not Engine.IO v4.
    #[error("Unsupported protocol version")]
    UnsupportedVersion,
    /// There are as many sessions as there may be, or the server stops.
    #[error("Server is at capacity")]
    Unavailable,
    /// The method means nothing for a session.
    #[error("Method not allowed")]
    MethodNotAllowed,
}

impl RequestError {
    fn code(self) -> u8 {
        match self {
            Self::UnknownTransport => 0,
            Self::UnknownSid => 1,
            Self::BadMethod => 2,
            Self::BadRequest | Self::BadWebSocket | Self::MethodNotAllowed => 3,
            Self::Unavailable => 4,
            Self::UnsupportedVersion => 5,
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    /// The answer to a plain HTTP request.
    pub(super) fn response(self) -> Response<Body> {
        if self == Self::MethodNotAllowed {
            return self.method_not_allowed();
        }
        let json = format!(r#"{{"code":{},"message":"{self}"}}"#, self.code());
        let mut response = Response::new(Body::full(json));
        *response.status_mut() = self.status();
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }

    /// The protocol has no code for it.
    fn method_not_allowed(self) -> Response<Body> {
        let mut response = Response::new(Body::default());
        *response.status_mut() = self.status();
        response
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static("GET, POST"));
        response
    }

    /// The answer to a websocket handshake: the message alone, and the connection ends.
    pub(super) fn upgrade_response(self) -> Response<Body> {
        let mut response = Response::new(Body::full(self.to_string()));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        if self == Self::BadWebSocket {
            headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        }
        response
    }
}
