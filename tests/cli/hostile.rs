//! Issuers that are down, slow, or answer anything but metadata: a clear message within the deadline, and never a wrong verdict.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ipsie_conform::stage::listener::{TestCa, TlsFront, TlsShape};

use super::support::{Said, cli_in, json};

/// A server that does this with every request, behind TLS.
struct Hostile {
    ca: Arc<TestCa>,
    front: TlsFront,
}

impl Hostile {
    async fn start(answer: fn(&mut TcpStream) -> std::io::Result<()>) -> Hostile {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                std::thread::spawn(move || {
                    let mut head = [0; 4096];
                    let _ = stream.read(&mut head);
                    let _ = answer(&mut stream);
                });
            }
        });
        let ca = Arc::new(TestCa::new("hostile authority").unwrap());
        let front = TlsFront::start(ca.clone(), "127.0.0.1:0", addr, TlsShape::default(), None).await.unwrap();
        Hostile { ca, front }
    }

    fn run(&self) -> (Said, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("ca.pem"), self.ca.pem()).unwrap();
        run(dir, self.front.addr, "ca_file = \"ca.pem\"\n")
    }
}

/// One clause of the metadata is enough; everything else would only repeat the fault.
fn run(dir: tempfile::TempDir, at: SocketAddr, network: &str) -> (Said, tempfile::TempDir) {
    let target = format!(
        "[network]\ntimeout_s = 1\n{network}[network.resolve]\n\"op.hostile.test\" = \"{at}\"\n[idp]\nissuer = \"https://op.hostile.test\"\n"
    );
    std::fs::write(dir.path().join("t.toml"), target).unwrap();
    let clock = Instant::now();
    let args = ["run", "--target", "t.toml", "--browser", "form", "--fast", "--scenario", "idp-probe/metadata", "--out", "run"];
    let said = cli_in(dir.path(), &args);
    assert!(clock.elapsed() < Duration::from_secs(60), "it took {:?}", clock.elapsed());
    (said, dir)
}

#[test]
fn a_target_that_is_down() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (said, dir) = run(tempfile::tempdir().unwrap(), free, "");
    said.has(4, &["could not be reached", "refused", "doctor"]);
    cli_in(dir.path(), &["doctor", "--target", "t.toml", "--browser", "form"])
        .has(4, &["problem  op.hostile.test:443", "refused", "remedy"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_an_unknown_authority() {
    let server = Hostile::start(|_| Ok(())).await;
    let (said, dir) = run(tempfile::tempdir().unwrap(), server.front.addr, "");
    said.has(4, &["certificate", "not trusted", "network.ca_file"]);
    cli_in(dir.path(), &["doctor", "--target", "t.toml", "--browser", "form"]).has(4, &["not accepted", "no trusted authority"]);
    let resolve = format!("op.hostile.test={}", server.front.addr);
    cli_in(dir.path(), &["init", "https://op.hostile.test", "--resolve", &resolve]).has(4, &["certificate", "--ca-file"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_never_comes() {
    let server = Hostile::start(|_| {
        std::thread::sleep(Duration::from_secs(30));
        Ok(())
    })
    .await;
    server.run().0.has(4, &["longer than 1 s"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage() {
    let server = Hostile::start(|stream| stream.write_all(&[0x80, 0x00, 0xff, 0x15, 0x0a].repeat(400))).await;
    server.run().0.has(4, &["could not be reached"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_never_ends() {
    let server = Hostile::start(|stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n")?;
        loop {
            stream.write_all(b"10\r\n{{{{{{{{{{{{{{{{\r\n")?;
        }
    })
    .await;
    // Whichever bound is met first on this machine.
    let said = server.run().0;
    assert!(said.all().contains("larger than 1024 KiB") || said.all().contains("time limit"), "{}", said.all());
    said.has(4, &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_a_gigabyte() {
    let server = Hostile::start(|stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1073741824\r\n\r\n")?;
        let block = vec![b' '; 65_536];
        (0..16_384).try_for_each(|_| stream.write_all(&block))
    })
    .await;
    server.run().0.has(4, &["larger than 1024 KiB"]);
}

const HTML: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 15\r\nconnection: close\r\n\r\n<h1>Hello!</h1>";
const REDIRECT: &[u8] =
    b"HTTP/1.1 302 Found\r\nlocation: https://op.hostile.test/.well-known/openid-configuration\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn html_or_an_endless_redirect_in_place_of_metadata_is_a_finding() {
    for (answer, told, found) in [(HTML, "text/html", "not one JSON object"), (REDIRECT, "302", "302")] {
        let server = match answer {
            HTML => Hostile::start(|stream| stream.write_all(HTML)).await,
            _ => Hostile::start(|stream| stream.write_all(REDIRECT)).await,
        };
        let (said, dir) = server.run();
        said.has(1, &["sl1.idp.discovery-published", "NON-CONFORMANT"]);
        let report = json(&dir.path().join("run/report.json"));
        let row = report["clauses"].as_array().unwrap().iter().find(|row| row["id"] == "sl1.idp.discovery-published").unwrap();
        assert_eq!(row["verdict"], "fail");
        assert!(row.to_string().contains(found), "{row}");
        let resolve = format!("op.hostile.test={}", server.front.addr);
        let init = cli_in(dir.path(), &["init", "https://op.hostile.test", "--resolve", &resolve, "--ca-file", "ca.pem"]);
        init.has(4, &["is no discovery document", told]);
        assert!(!dir.path().join("target.toml").exists());
    }
}
