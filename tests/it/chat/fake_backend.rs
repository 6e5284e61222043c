//! A marketplace's backend as the tests need one: on a free port, with answers that a test decides and requests that it can count. It
//! speaks through hyper's server, so that what is tested is the client's side.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, LOCATION};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// What a path answers.
#[derive(Clone)]
pub(super) enum Reply {
    /// 200 and this.
    Json(Value),
    /// A status and a text.
    Status(u16, &'static str),
    /// 200 and a text.
    Text(String),
    /// 302 to another address.
    Redirect(String),
    /// Nothing, for ever.
    Silence,
    /// Nothing until the test says so, then 200 and this.
    Held(Arc<tokio::sync::Semaphore>, Value),
}

/// One request that came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) path: String,
    pub(super) token: Option<String>,
}

#[derive(Default)]
struct State {
    replies: HashMap<String, Reply>,
    asked: Vec<Asked>,
}

/// A running backend; it ends with the test's runtime.
#[derive(Clone)]
pub(super) struct FakeBackend {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl FakeBackend {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let backend = Self {
            address: listener.local_addr().unwrap(),
            state: Arc::default(),
        };
        let accepting = backend.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(accepting.clone().serve(stream));
            }
        });
        backend
    }

    /// The same behind https, and the certificate to trust.
    pub(super) async fn start_encrypted() -> (Self, String) {
        let names = vec!["127.0.0.1".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let backend = Self {
            address: listener.local_addr().unwrap(),
            state: Arc::default(),
        };
        let accepting = backend.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, backend) = (acceptor.clone(), accepting.clone());
                tokio::spawn(async move {
                    // A client that does not trust us goes away.
                    if let Ok(stream) = acceptor.accept(stream).await {
                        backend.serve(stream).await;
                    }
                });
            }
        });
        (backend, made.cert.pem())
    }

    /// Serves one connection, whatever carries it.
    async fn serve(self, stream: impl AsyncRead + AsyncWrite + Unpin) {
        let service = service_fn(|request| self.reply(request));
        let _ = http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service)
            .await;
    }

    async fn reply(
        &self,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, hyper::Error> {
        let path = request.uri().to_string();
        let token = request.headers().get(AUTHORIZATION);
        let token = token.map(|value| value.to_str().unwrap().to_owned());
        let reply = {
            let mut state = self.state.lock().unwrap();
            let path = path.clone();
            state.asked.push(Asked { path, token });
            state.replies.get(request.uri().path()).cloned()
        };
        let (status, body) = match reply {
            Some(Reply::Json(value)) => (200, value.to_string()),
            Some(Reply::Status(status, text)) => (status, text.to_owned()),
            Some(Reply::Text(text)) => (200, text),
            Some(Reply::Redirect(to)) => {
                let answer = Response::builder().status(302).header(LOCATION, to);
                return Ok(answer.body(Full::default()).unwrap());
            }
            Some(Reply::Silence) => std::future::pending().await,
            Some(Reply::Held(gate, value)) => {
                gate.acquire().await.unwrap().forget();
                (200, value.to_string())
            }
            None => (404, r#"{"success":false}"#.to_owned()),
        };
        let answer = Response::builder().status(status);
        let answer = answer.header(CONTENT_TYPE, "application/json");
        Ok(answer.body(Full::from(body)).unwrap())
    }

    pub(super) fn says(&self, path: &str, reply: Reply) {
        let mut state = self.state.lock().unwrap();
        state.replies.insert(path.to_owned(), reply);
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        self.state.lock().unwrap().asked.clone()
    }

    /// How often a path was asked for.
    pub(super) fn times(&self, path: &str) -> usize {
        self.asked()
            .iter()
            .filter(|asked| asked.path == path)
            .count()
    }

    /// Waits until a path was asked for so often.
    pub(super) async fn until_asked(&self, path: &str, times: usize) {
        let asked = async {
            while self.times(path) < times {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        super::within("the backend to be asked", asked).await;
    }
}
