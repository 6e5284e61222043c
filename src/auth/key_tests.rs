//! Public keys: which are taken, and that each checks its own algorithm and nothing else (promise P13). Every key is made here.

use std::path::Path;
use std::sync::OnceLock;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair, RsaPublicKeyComponents,
};
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::*;

const NOW: u64 = 1_750_000_000;
const PAYLOAD: &str = r#"{"id":"asha","exp":1999999999}"#;

/// What a host application signs with, one of each kind.
struct Host {
    rsa: RsaKeyPair,
    p256: EcdsaKeyPair,
    ed25519: Ed25519KeyPair,
}

impl Host {
    fn new() -> Self {
        Self {
            rsa: RsaKeyPair::generate(KeySize::Rsa2048).unwrap(),
            p256: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
            ed25519: Ed25519KeyPair::generate().unwrap(),
        }
    }

    /// The host of these tests; its keys take a while to make.
    fn shared() -> &'static Self {
        static HOST: OnceLock<Host> = OnceLock::new();
        HOST.get_or_init(Self::new)
    }

    fn pems(&self) -> [String; 3] {
        [
            pem(
                "PUBLIC KEY",
                self.rsa.public_key().as_der().unwrap().as_ref(),
            ),
            pem(
                "PUBLIC KEY",
                self.p256.public_key().as_der().unwrap().as_ref(),
            ),
            pem(
                "PUBLIC KEY",
                self.ed25519.public_key().as_der().unwrap().as_ref(),
            ),
        ]
    }

    fn rsa_jwk(&self) -> Value {
        let public = RsaPublicKeyComponents::<Vec<u8>>::from(self.rsa.public_key());
        json!({"kty": "RSA", "n": URL_SAFE_NO_PAD.encode(public.n), "e": URL_SAFE_NO_PAD.encode(public.e)})
    }

    fn p256_jwk(&self) -> Value {
        let point = self.p256.public_key().as_ref();
        let (x, y) = point[1..].split_at(32);
        json!({"kty": "EC", "crv": "P-256", "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y)})
    }

    fn ed25519_jwk(&self) -> Value {
        let x = self.ed25519.public_key().as_ref();
        json!({"kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(x)})
    }

    /// Signs with the key of `kind`, whatever the header says.
    fn sign(&self, kind: &str, header: &Value) -> String {
        let random = SystemRandom::new();
        signed(header, |message| match kind {
            "RS256" => {
                let mut signature = vec![0; self.rsa.public_modulus_len()];
                self.rsa
                    .sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                    .unwrap();
                signature
            }
            "ES256" => self.p256.sign(&random, message).unwrap().as_ref().to_vec(),
            _ => self.ed25519.sign(message).as_ref().to_vec(),
        })
    }
}

fn signed(header: &Value, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let message = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header.to_string()),
        URL_SAFE_NO_PAD.encode(PAYLOAD)
    );
    let signature = URL_SAFE_NO_PAD.encode(sign(message.as_bytes()));
    format!("{message}.{signature}")
}

fn signed_with_secret(secret: &[u8], header: &Value) -> String {
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret);
    signed(header, |message| {
        aws_lc_rs::hmac::sign(&key, message).as_ref().to_vec()
    })
}

fn pem(label: &str, der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let lines: Vec<_> = body
        .as_bytes()
        .chunks(64)
        .map(String::from_utf8_lossy)
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}

/// Without secrets: only the given PEM texts and the given set.
fn verifier(pems: &[&str], set: Option<Arc<KeySet>>) -> Verifier {
    let keys = pems
        .iter()
        .flat_map(|pem| PublicKey::from_pem(pem).unwrap());
    Verifier::new(Vec::new(), Expiry::Required, Duration::ZERO)
        .with_public_keys(keys.collect())
        .with_key_set(set)
}

fn set_at(path: &Path, keys: &[Value]) -> Result<KeySet, KeyError> {
    std::fs::write(path, json!({ "keys": keys }).to_string()).unwrap();
    KeySet::open(path)
}

fn set(keys: &[Value]) -> Result<KeySet, KeyError> {
    let directory = tempfile::tempdir().unwrap();
    set_at(&directory.path().join("jwks.json"), keys)
}

fn with(mut jwk: Value, members: Value) -> Value {
    let Value::Object(members) = members else {
        panic!("members are an object");
    };
    jwk.as_object_mut().unwrap().extend(members);
    jwk
}

fn lets_in(verifier: &Verifier, token: &str) -> bool {
    match verifier.verify_at(token, NOW) {
        Ok(claims) => claims.user_id.as_str() == "asha",
        Err(error) => {
            assert_eq!(error, AuthError::Invalid);
            false
        }
    }
}

#[test]
fn each_kind_of_key_lets_its_own_tokens_in() {
    let (host, stranger) = (Host::shared(), Host::new());
    let pems = host.pems();
    for (kind, pem) in ["RS256", "ES256", "EdDSA"].into_iter().zip(&pems) {
        let verifier = verifier(&[pem], None);
        let header = json!({"alg": kind, "typ": "JWT"});
        assert!(lets_in(&verifier, &host.sign(kind, &header)), "{kind}");
        assert!(!lets_in(&verifier, &stranger.sign(kind, &header)), "{kind}");
        let token = host.sign(kind, &header);
        let (message, _) = token.rsplit_once('.').unwrap();
        assert!(!lets_in(&verifier, &format!("{message}.")), "{kind}");
    }
    let ed25519 = verifier(&[&pems[2]], None);
    assert!(lets_in(
        &ed25519,
        &host.sign("EdDSA", &json!({"alg": "Ed25519"}))
    ));
}

#[test]
fn the_key_decides_the_algorithm() {
    let host = Host::shared();
    let pems = host.pems();
    let all: Vec<&str> = pems.iter().map(String::as_str).collect();
    let verifier = verifier(&all, None);
    let names = [
        "RS256", "ES256", "EdDSA", "HS256", "none", "None", "", "RS384", "RS512", "PS256", "ES384",
        "HS512", "rs256",
    ];
    for kind in ["RS256", "ES256", "EdDSA"] {
        for claimed in names {
            let token = host.sign(kind, &json!({ "alg": claimed }));
            assert_eq!(
                lets_in(&verifier, &token),
                kind == claimed,
                "{kind} as {claimed}"
            );
        }
    }
}

/// The attack of RFC 8725 §2.1: everybody has the public key, so nothing that is made with it alone may count.
#[test]
fn a_public_key_is_never_a_secret() {
    let host = Host::shared();
    let secret = Secret::new(&[7; 32], "a test", Strength::Required).unwrap();
    let set = set(&[host.rsa_jwk(), host.p256_jwk(), host.ed25519_jwk()]).unwrap();
    let pems = host.pems();
    let keys = pems
        .iter()
        .flat_map(|pem| PublicKey::from_pem(pem).unwrap());
    let verifier = Verifier::new(vec![secret], Expiry::Required, Duration::ZERO)
        .with_public_keys(keys.collect())
        .with_key_set(Some(Arc::new(set)));
    assert!(lets_in(
        &verifier,
        &signed_with_secret(&[7; 32], &json!({"alg": "HS256"}))
    ));
    let modulus = RsaPublicKeyComponents::<Vec<u8>>::from(host.rsa.public_key()).n;
    let mut known: Vec<Vec<u8>> = vec![
        Vec::new(),
        modulus,
        host.p256.public_key().as_ref().to_vec(),
        host.ed25519.public_key().as_ref().to_vec(),
        host.rsa_jwk().to_string().into_bytes(),
    ];
    for pem in &pems {
        known.push(pem.clone().into_bytes());
        known.push(pem.trim_end().as_bytes().to_vec());
        known.push(pem_der(pem));
    }
    for public in known {
        for name in ["HS256", "RS256", "ES256", "EdDSA"] {
            let forged = signed_with_secret(&public, &json!({ "alg": name }));
            assert!(!lets_in(&verifier, &forged), "{name}");
        }
    }
    // A token of the secret that calls itself another.
    for name in ["RS256", "ES256", "EdDSA", "none"] {
        let forged = signed_with_secret(&[7; 32], &json!({ "alg": name }));
        assert!(!lets_in(&verifier, &forged), "{name}");
    }
}

fn pem_der(pem: &str) -> Vec<u8> {
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    STANDARD.decode(body).unwrap()
}

#[test]
fn without_a_secret_no_shared_one_counts() {
    let host = Host::shared();
    let verifier = verifier(&[&host.pems()[0]], None);
    for secret in [&b""[..], &[0; 32], b"secret"] {
        let forged = signed_with_secret(secret, &json!({"alg": "HS256"}));
        assert!(!lets_in(&verifier, &forged));
    }
}

#[test]
fn several_keys_are_a_rotation() {
    let (host, next) = (Host::shared(), Host::new());
    let (old, new) = (&host.pems()[1], &next.pems()[1]);
    let header = json!({"alg": "ES256"});
    let both = verifier(&[old, new], None);
    assert!(
        lets_in(&both, &host.sign("ES256", &header))
            && lets_in(&both, &next.sign("ES256", &header))
    );
    let one_text = format!("the old one:\n{old}and the new one:\n{new}");
    let both = verifier(&[&one_text], None);
    assert!(
        lets_in(&both, &host.sign("ES256", &header))
            && lets_in(&both, &next.sign("ES256", &header))
    );
    let after = verifier(&[new], None);
    assert!(!lets_in(&after, &host.sign("ES256", &header)));
}

#[test]
fn what_is_no_public_key_is_refused_with_the_remedy() {
    let host = Host::shared();
    let p384 = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap();
    let p384 = p384.public_key().as_der().unwrap();
    let cut = &pem_der(&host.pems()[0])[..100];
    for (text, said) in [
        (String::new(), "no PEM block"),
        ("ssh-ed25519 AAAA".to_owned(), "no PEM block"),
        (pem("PRIVATE KEY", b"0"), "openssl pkey -pubout"),
        (pem("EC PRIVATE KEY", b"0"), "openssl pkey -pubout"),
        (pem("CERTIFICATE", b"0"), "openssl x509 -pubkey"),
        (pem("DH PARAMETERS", b"0"), "\"DH PARAMETERS\""),
        (
            pem("PUBLIC KEY", p384.as_ref()),
            "neither RSA nor ECDSA on P-256",
        ),
        (pem("PUBLIC KEY", cut), "neither RSA"),
        (pem("PUBLIC KEY", &[1; 32]), "damaged"),
        (pem("PUBLIC KEY", b""), "damaged"),
        (
            "-----BEGIN PUBLIC KEY-----\n!!!\n-----END PUBLIC KEY-----".to_owned(),
            "damaged",
        ),
        (
            "-----BEGIN PUBLIC KEY-----\nAAAA".to_owned(),
            "does not end",
        ),
        ("-----BEGIN ".to_owned(), "no label"),
        (pem("PUBLIC KEY", &weak_rsa()), "fewer than 2048"),
        // One key that is fine does not excuse another.
        (
            format!("{}{}", host.pems()[0], pem("PRIVATE KEY", b"0")),
            "openssl pkey",
        ),
    ] {
        let error = PublicKey::from_pem(&text).unwrap_err();
        assert!(
            error.contains(said) && !error.contains('\n'),
            "{text}: {error}"
        );
    }
    let directory = tempfile::tempdir().unwrap();
    let absent = directory.path().join("absent.pem");
    let error = PublicKey::load(&[absent]).unwrap_err().to_string();
    assert!(
        error.contains("absent.pem") && error.contains("owner and mode"),
        "{error}"
    );
}

/// A modulus of 1024 bits; nobody needs its factors.
fn weak_modulus() -> Vec<u8> {
    let mut modulus = vec![0xa5; 128];
    modulus[127] = 0x01;
    modulus
}

fn weak_rsa() -> Vec<u8> {
    let components = RsaPublicKeyComponents {
        n: weak_modulus(),
        e: vec![1, 0, 1],
    };
    let legacy = &aws_lc_rs::signature::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY;
    let key = components.to_parsed_public_key(legacy).unwrap();
    key.as_ref().to_vec()
}

#[test]
fn a_set_of_keys_is_chosen_from_by_name() {
    let (host, other) = (Host::shared(), Host::new());
    let keys = [
        with(
            host.rsa_jwk(),
            json!({"kid": "r1", "alg": "RS256", "use": "sig"}),
        ),
        with(host.p256_jwk(), json!({"kid": "e1", "key_ops": ["verify"]})),
        with(other.p256_jwk(), json!({"kid": "e2"})),
        with(host.ed25519_jwk(), json!({"alg": "Ed25519"})),
    ];
    let verifier = verifier(&[], Some(Arc::new(set(&keys).unwrap())));
    let outcome = |host: &Host, kind, header: Value| lets_in(&verifier, &host.sign(kind, &header));
    assert!(outcome(host, "RS256", json!({"alg": "RS256", "kid": "r1"})));
    assert!(outcome(host, "ES256", json!({"alg": "ES256", "kid": "e1"})));
    assert!(outcome(
        &other,
        "ES256",
        json!({"alg": "ES256", "kid": "e2"})
    ));
    // Another's name, an unknown one, one that is none.
    assert!(!outcome(
        host,
        "ES256",
        json!({"alg": "ES256", "kid": "e2"})
    ));
    assert!(!outcome(
        host,
        "ES256",
        json!({"alg": "ES256", "kid": "r1"})
    ));
    for kid in ["", "e3", "../../dev/null", "E1"] {
        assert!(
            !outcome(host, "ES256", json!({"alg": "ES256", "kid": kid})),
            "{kid}"
        );
    }
    for kid in [json!(null), json!(1), json!(["e1"])] {
        assert!(!outcome(host, "ES256", json!({"alg": "ES256", "kid": kid})));
    }
    // A token that names none is tried on all; a key that has none is tried on every token.
    assert!(outcome(&other, "ES256", json!({"alg": "ES256"})));
    assert!(outcome(
        host,
        "EdDSA",
        json!({"alg": "EdDSA", "kid": "anything"})
    ));
    // A token brings no key of its own.
    let stranger = Host::new();
    let own = json!({"alg": "ES256", "jwk": stranger.p256_jwk(), "jku": "http://127.0.0.1/keys", "x5u": "http://127.0.0.1/"});
    assert!(!outcome(&stranger, "ES256", own));
}

#[test]
fn what_a_set_holds_that_is_not_for_tokens_is_passed_over() {
    let host = Host::shared();
    let header = json!({"alg": "ES256"});
    for useless in [
        with(host.p256_jwk(), json!({"use": "enc"})),
        with(host.p256_jwk(), json!({"key_ops": ["sign"]})),
        with(host.p256_jwk(), json!({"alg": "ES384"})),
        with(host.p256_jwk(), json!({"alg": "HS256"})),
        with(host.p256_jwk(), json!({"crv": "P-384"})),
        with(host.p256_jwk(), json!({"crv": "secp256k1"})),
        with(host.p256_jwk(), json!({"x": "AAAA"})),
        with(host.p256_jwk(), json!({"y": host.p256_jwk()["x"]})),
        with(host.p256_jwk(), json!({"kty": "oct", "k": "AAAA"})),
        with(host.p256_jwk(), json!({"kty": "new"})),
        with(host.p256_jwk(), json!({"kid": 7})),
        json!({"kty": "EC", "crv": "P-256"}),
        json!(7),
    ] {
        let error = set(std::slice::from_ref(&useless)).unwrap_err().to_string();
        assert!(
            error.contains("no RS256, ES256 or EdDSA key"),
            "{useless}: {error}"
        );
        let beside = set(&[useless.clone(), host.ed25519_jwk()]).unwrap();
        let verifier = verifier(&[], Some(Arc::new(beside)));
        assert!(
            !lets_in(&verifier, &host.sign("ES256", &header)),
            "{useless}"
        );
        assert!(lets_in(
            &verifier,
            &host.sign("EdDSA", &json!({"alg": "EdDSA"}))
        ));
    }
}

#[test]
fn a_set_that_is_weak_or_private_is_refused() {
    let host = Host::shared();
    let weak = with(
        host.rsa_jwk(),
        json!({"kid": "w", "n": URL_SAFE_NO_PAD.encode(weak_modulus())}),
    );
    let private = with(host.p256_jwk(), json!({"kid": "p", "d": "AAAA"}));
    for (bad, said) in [(weak, "2048"), (private, "private")] {
        let error = set(&[host.ed25519_jwk(), bad]).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
    let many = vec![host.ed25519_jwk(); 65];
    assert!(set(&many).unwrap_err().to_string().contains("more than 64"));
}

#[test]
fn a_set_follows_its_file_and_outlives_a_bad_one() {
    let (old, new) = (Host::shared(), Host::new());
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jwks.json");
    let keys = Arc::new(set_at(&path, &[old.ed25519_jwk()]).unwrap());
    let verifier = verifier(&[], Some(Arc::clone(&keys)));
    let header = json!({"alg": "EdDSA"});
    let lets = |host: &Host| lets_in(&verifier, &host.sign("EdDSA", &header));
    assert!(lets(old) && !lets(&new));

    keys.reload_if_changed().unwrap();
    std::fs::write(&path, "{\"keys\": [").unwrap();
    assert!(keys.reload_if_changed().is_err());
    keys.reload_if_changed().unwrap();
    assert!(keys.reload().is_err());
    std::fs::remove_file(&path).unwrap();
    assert!(keys.reload_if_changed().is_err());
    keys.reload_if_changed().unwrap();
    assert!(
        lets(old) && !lets(&new),
        "what is of no use changes nothing"
    );

    let both = json!({"keys": [old.ed25519_jwk(), with(new.ed25519_jwk(), json!({"kid": "n"}))]});
    std::fs::write(&path, both.to_string()).unwrap();
    keys.reload_if_changed().unwrap();
    assert!(lets(old) && lets(&new));
    std::fs::write(&path, json!({"keys": [new.ed25519_jwk()]}).to_string()).unwrap();
    keys.reload().unwrap();
    assert!(!lets(old) && lets(&new));
}
