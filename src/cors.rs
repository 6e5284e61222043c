//! One policy for REST, polling and uploads (CORS), and for websockets (the `Origin` check, which CORS does not do).

use hyper::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, HOST, HeaderMap, HeaderValue,
    ORIGIN, VARY,
};
use hyper::{Method, Request};

/// Which origins browsers may call from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cors {
    /// Only pages of this host.
    SameOrigin,
    /// These, and pages of this host.
    Listed(Vec<String>),
    /// All.
    Any,
}

impl Cors {
    /// The policy of `--cors-origin`.
    pub fn new(origins: &[String]) -> Self {
        let named: Vec<String> = origins
            .iter()
            .map(|origin| origin.trim().trim_end_matches('/').to_ascii_lowercase())
            .collect();
        if named.iter().any(|origin| origin == "*") {
            Self::Any
        } else if named.iter().all(String::is_empty) {
            Self::SameOrigin
        } else {
            Self::Listed(named)
        }
    }

    /// Whether a page of the request's `Origin`, if it names one, may open a websocket here.
    pub fn allows(&self, headers: &HeaderMap) -> bool {
        let Some(origin) = headers.get(ORIGIN) else {
            return true;
        };
        let Ok(origin) = origin.to_str() else {
            return false;
        };
        match self {
            Self::Any => true,
            Self::Listed(listed) if contains(listed, origin) => true,
            Self::Listed(_) | Self::SameOrigin => {
                let host = headers.get(HOST).and_then(|host| host.to_str().ok());
                let authority = origin.split_once("://").map(|(_, authority)| authority);
                authority
                    .zip(host)
                    .is_some_and(|(authority, host)| authority.eq_ignore_ascii_case(host))
            }
        }
    }

    /// Whether this is a preflight that the policy answers itself.
    pub fn is_preflight<B>(&self, request: &Request<B>) -> bool {
        *self != Self::SameOrigin
            && request.method() == Method::OPTIONS
            && request.headers().contains_key(ORIGIN)
            && request
                .headers()
                .contains_key(ACCESS_CONTROL_REQUEST_METHOD)
    }

    /// The headers of the answer to a preflight, beside those of [`Cors::headers`].
    pub fn preflight_headers(&self, request: &HeaderMap) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let methods = HeaderValue::from_static("GET,HEAD,PUT,PATCH,POST,DELETE");
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
        let usual =
            HeaderValue::from_static("Authorization, Content-Type, X-Socket-Id, Idempotency-Key");
        let asked = request
            .get(ACCESS_CONTROL_REQUEST_HEADERS)
            .cloned()
            .unwrap_or(usual);
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, asked);
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
        headers.append(
            VARY,
            HeaderValue::from_static("Access-Control-Request-Headers"),
        );
        headers
    }

    /// The headers of any answer to a request with these.
    pub fn headers(&self, request: &HeaderMap) -> HeaderMap {
        let mut headers = HeaderMap::new();
        match self {
            Self::SameOrigin => return headers,
            Self::Any => {
                headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
            }
            Self::Listed(listed) => {
                headers.append(VARY, HeaderValue::from_static("Origin"));
                let Some(origin) = request.get(ORIGIN) else {
                    return headers;
                };
                if !origin.to_str().is_ok_and(|origin| contains(listed, origin)) {
                    return headers;
                }
                headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
                headers.insert(
                    ACCESS_CONTROL_ALLOW_CREDENTIALS,
                    HeaderValue::from_static("true"),
                );
            }
        }
        let exposed = HeaderValue::from_static("X-Request-Id, Retry-After, ETag, Content-Range");
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
        headers
    }
}

fn contains(listed: &[String], origin: &str) -> bool {
    listed.iter().any(|one| one.eq_ignore_ascii_case(origin))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn the_flag_is_read() {
        let parsed = |list: &[&str]| {
            Cors::new(&list.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(parsed(&[]), Cors::SameOrigin);
        assert_eq!(parsed(&[""]), Cors::SameOrigin);
        assert_eq!(parsed(&["https://a.example/", "*"]), Cors::Any);
        assert_eq!(
            parsed(&["https://A.example/"]),
            Cors::Listed(vec!["https://a.example".to_owned()])
        );
    }

    #[test]
    fn a_websocket_from_a_strange_page_is_refused() {
        let listed = Cors::Listed(vec!["https://shop.example".to_owned()]);
        let strange = headers(&[("origin", "https://evil.example"), ("host", "chat.example")]);
        let same = headers(&[("origin", "https://chat.example"), ("host", "chat.example")]);
        let shop = headers(&[("origin", "https://shop.example"), ("host", "chat.example")]);
        assert!(!listed.allows(&strange) && listed.allows(&same) && listed.allows(&shop));
        assert!(!Cors::SameOrigin.allows(&strange) && Cors::SameOrigin.allows(&same));
        assert!(Cors::Any.allows(&strange));
        assert!(
            Cors::SameOrigin.allows(&headers(&[("host", "chat.example")])),
            "an app names no origin"
        );
        assert!(
            !Cors::SameOrigin.allows(&headers(&[("origin", "null"), ("host", "chat.example")]))
        );
    }

    #[test]
    fn only_a_listed_origin_is_named_back() {
        let listed = Cors::Listed(vec!["https://shop.example".to_owned()]);
        let named = |origin| {
            listed
                .headers(&headers(&[("origin", origin)]))
                .get(ACCESS_CONTROL_ALLOW_ORIGIN)
                .cloned()
        };
        assert_eq!(
            named("https://shop.example").unwrap(),
            "https://shop.example"
        );
        assert_eq!(named("https://evil.example"), None);
        assert_eq!(
            Cors::Any.headers(&HeaderMap::new())[ACCESS_CONTROL_ALLOW_ORIGIN],
            "*"
        );
        assert!(
            Cors::SameOrigin
                .headers(&headers(&[("origin", "https://a.example")]))
                .is_empty()
        );
    }
}
