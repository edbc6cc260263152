//! HTTP requests of plugins: to whom, with what, and what becomes of one that is cut off.

mod orders;

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use tests::bench::Bench;
use tests::sshd::Sshd;
use tests::web_port::WebPort;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use windlass::effects::http::{Ask, Exchange, Order};
use windlass::effects::secrets::{EnsureSecret, Policy};

fn exchange(url: &str, via: bool) -> Exchange {
    Exchange {
        method: "GET".parse().unwrap(),
        url: url.parse().unwrap(),
        headers: Vec::new(),
        body: Vec::new(),
        timeout: Duration::from_secs(20),
        via: via.then(|| "web-1".parse().unwrap()),
    }
}

#[tokio::test]
async fn an_app_asks_its_own_names_through_its_server_and_no_others() {
    let bench = Bench::simulated().await;
    let job = bench.app_job("shop", &[], false).await;
    let answer = job.perform(&Ask(exchange("https://shop.example.com/", true))).await.unwrap();
    assert_eq!((answer.status, answer.headers[0].0.as_str()), (200, "x-simulated"));
    job.perform(&Ask(exchange("https://example.org/", false))).await.unwrap();
    for (url, via) in [
        ("https://bank.example.com/", true),
        ("https://shop.example.com/", false),
        ("https://example.org:8443/", false),
        ("https://www.example.org/", false),
    ] {
        let failure = job.perform(&Ask(exchange(url, via))).await.unwrap_err();
        assert_eq!(failure.code, "access_denied", "{url}: {}", failure.message);
    }
    let other = Exchange { via: Some("web-2".parse().unwrap()), ..exchange("http://a.b/", true) };
    assert_eq!(job.perform(&Ask(other)).await.unwrap_err().code, "access_denied");
    let header = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
    for (url, headers, code) in [
        ("https://example.org/", header("Host", "internal"), "invalid_argument"),
        ("https://example.org/", header("X-A", "a\r\nX-B: c"), "invalid_argument"),
        ("http://example.org/", header("X-A", "${secret:web-1/shop/token}"), "secret_exposed"),
        ("https://example.org/", header("X-A", "${secret:web-1/bank/token}"), "access_denied"),
    ] {
        let asked = Exchange { headers, ..exchange(url, false) };
        assert_eq!(job.perform(&Ask(asked)).await.unwrap_err().code, code, "{url}");
    }
}

#[tokio::test]
async fn a_request_through_a_server_carries_secrets_that_the_answer_does_not_show() {
    const TEST: &str = "a_request_through_a_server_carries_secrets";
    let Some(sshd) = Sshd::start(TEST) else { return };
    let Some(port) = WebPort::take(TEST).await else { return };
    let bench = Bench::at(&sshd, sshd.port()).await;
    let job = bench.app_job("shop", &[], false).await;
    let name = "shop/token".parse().unwrap();
    let policy = Policy::new(32, "alphanumeric").unwrap();
    let reference = job.perform(&EnsureSecret { name, policy }).await.unwrap();
    let asked = Exchange {
        headers: vec![("Authorization".to_owned(), format!("Bearer {reference}"))],
        ..exchange("http://shop.example.com/login?x=1", true)
    };
    let ask = Ask(asked);
    let (answer, heard) = tokio::join!(job.perform(&ask), async {
        let (mut stream, _) = port.listener.accept().await.unwrap();
        let mut heard = Vec::new();
        while !heard.windows(4).any(|part| part == b"\r\n\r\n") {
            assert!(stream.read_buf(&mut heard).await.unwrap() > 0);
        }
        let head = "HTTP/1.1 401 Unauthorized\r\nConnection: close\r\n\r\n";
        stream.write_all(&[head.as_bytes(), &heard].concat()).await.unwrap();
        String::from_utf8(heard).unwrap()
    });
    let (answer, heard) = (answer.unwrap(), heard.to_lowercase());
    assert!(heard.starts_with("get /login?x=1 http/1.1\r\n"), "{heard}");
    assert!(heard.contains("host: shop.example.com\r\n") && heard.contains("bearer "), "{heard}");
    assert!(!heard.contains("${secret"), "{heard}");
    assert_eq!(answer.status, 401);
    let body = String::from_utf8(BASE64_STANDARD.decode(&answer.body).unwrap()).unwrap();
    assert!(body.contains("Bearer •••"), "{body}");

    let order = Order(Exchange {
        method: "POST".parse().unwrap(),
        ..exchange("http://shop.example.com/orders", true)
    });
    // One that never reached anybody can be sent again, whatever it does.
    drop(port.listener);
    let nobody = job.perform(&order).await.unwrap_err();
    assert_eq!((nobody.code.as_str(), nobody.retry_safe), ("unavailable", true), "{nobody:?}");
}
