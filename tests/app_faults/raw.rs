//! Applications that do not speak HTTP, or never come to an end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ipsie_conform::counterpart::app::HOST;
use ipsie_conform::embed::embed;
use ipsie_conform::model::Role;
use ipsie_conform::set_stage::Browser;
use ipsie_conform::stage::browser::chrome::find_chrome;
use ipsie_conform::stage::listener::{TestCa, TlsFront, TlsShape};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::support::{materials, play, stopped};

#[derive(Clone, Copy, Debug)]
enum Manner {
    Garbage,
    Drips,
    Endless,
    Closes,
    Nested,
}

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ntransfer-encoding: chunked\r\n\r\n";

async fn answer(mut stream: TcpStream, manner: Manner) -> std::io::Result<()> {
    let mut head = [0; 4096];
    let _ = stream.read(&mut head).await?;
    match manner {
        Manner::Garbage => stream.write_all(&[0x80, 0x00, 0xff, 0x15, 0x0a].repeat(400)).await,
        Manner::Closes => Ok(()),
        Manner::Nested => {
            let body = "<div><form>".repeat(100_000);
            let head = format!("HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {}\r\n\r\n", body.len());
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(body.as_bytes()).await
        }
        Manner::Drips => {
            stream.write_all(HEAD).await?;
            loop {
                stream.write_all(b"1\r\n \r\n").await?;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        Manner::Endless => {
            stream.write_all(HEAD).await?;
            let block = format!("10000\r\n{}\r\n", "<p>more</p>     ".repeat(4096));
            loop {
                stream.write_all(block.as_bytes()).await?;
            }
        }
    }
}

async fn run(manner: Manner, browser: Browser) {
    let (mut setting, _peers) = embed(&materials(), &[Role::App], &[], browser, true, 4).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, manner));
        }
    });
    let ca = Arc::new(TestCa::new("authority of the raw front").unwrap());
    let front = TlsFront::start(ca.clone(), "127.0.0.1:0", addr, TlsShape::default(), None).await.unwrap();
    setting.target.network.resolve.insert(format!("{HOST}:443"), front.addr.to_string());
    setting.target.network.timeout_s = 4;
    setting.roots.push(ca.der().to_vec());
    let clock = Instant::now();
    let outcome = play(setting, &["app-login"], Arc::default()).await;
    eprintln!("{manner:?}: {:?}: {}", clock.elapsed(), outcome.as_ref().err().map(ToString::to_string).unwrap_or_default());
    assert!(clock.elapsed() < Duration::from_secs(60));
    let message: &[&str] = match manner {
        // The beginning of the page counts as the page where it is cut off.
        Manner::Endless | Manner::Nested => &["https://app.ipsie-conform-target.test/"],
        _ => &["could not be reached at https://app.ipsie-conform-target.test/protected"],
    };
    stopped(outcome, message, &[]);
    server.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_form_agent_gives_up_in_time() {
    let all = [Manner::Garbage, Manner::Drips, Manner::Endless, Manner::Closes, Manner::Nested];
    let runs = all.map(|manner| tokio::spawn(run(manner, Browser::Form)));
    for ended in futures_util::future::join_all(runs).await {
        ended.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn chrome_gives_up_in_time() {
    if find_chrome().is_none() {
        return;
    }
    for manner in [Manner::Garbage, Manner::Drips, Manner::Endless, Manner::Nested] {
        run(manner, Browser::Chrome).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_listens() {
    let (mut setting, _peers) = embed(&materials(), &[Role::App], &[], Browser::Form, true, 4).await.unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    setting.target.network.resolve.insert(format!("{HOST}:443"), free.to_string());
    stopped(
        play(setting, &["app-login"], Arc::default()).await,
        &["could not be reached", "refused"],
        &["that the application is up"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_an_unknown_authority() {
    let (mut setting, _peers) = embed(&materials(), &[Role::App], &[], Browser::Form, true, 4).await.unwrap();
    let ca = Arc::new(TestCa::new("unknown authority").unwrap());
    let front = TlsFront::start(ca, "127.0.0.1:0", "127.0.0.1:9".parse().unwrap(), TlsShape::default(), None).await.unwrap();
    setting.target.network.resolve.insert(format!("{HOST}:443"), front.addr.to_string());
    stopped(play(setting, &["app-login"], Arc::default()).await, &["could not be reached", "certificate"], &["network.ca_file"]);
}
