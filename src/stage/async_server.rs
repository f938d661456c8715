//! A small HTTP/1.1 server whose handlers may wait: for peers that call out while they answer. Clear text; TLS stands in front of it.

use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

use super::listener::ListenFault;

/// Bytes of a request body that are read; more is answered with 413.
const BODY_LIMIT: usize = 256 * 1024;

/// Put into the extensions of a response, it closes the connection in place of sending it.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the connection is closed without an answer")]
pub struct HangUp;

/// What answers the requests. It runs in the task of the connection, so a peer that goes away ends it.
pub type Handler = Arc<dyn Fn(Request<Bytes>) -> BoxFuture<'static, Response<Bytes>> + Send + Sync>;

/// A running server. Dropping it closes the port and every connection.
#[derive(Debug)]
pub struct AsyncServer {
    /// Where it listens.
    pub addr: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for AsyncServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl AsyncServer {
    /// Listens on `listen` and answers every request with `handler`.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub async fn start(
        listen: &str,
        handler: impl Fn(Request<Bytes>) -> BoxFuture<'static, Response<Bytes>> + Send + Sync + 'static,
    ) -> Result<Self, ListenFault> {
        AsyncServer::start_with(listen, BODY_LIMIT, handler).await
    }

    /// The same with a limit of one's own for request bodies, in bytes.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub async fn start_with(
        listen: &str,
        limit: usize,
        handler: impl Fn(Request<Bytes>) -> BoxFuture<'static, Response<Bytes>> + Send + Sync + 'static,
    ) -> Result<Self, ListenFault> {
        let bind = |source| ListenFault::Bind { address: listen.to_owned(), source };
        let listener = TcpListener::bind(listen).await.map_err(bind)?;
        let addr = listener.local_addr().map_err(bind)?;
        let handler: Handler = Arc::new(handler);
        let task = tokio::spawn(async move {
            // The connections end with this task, because a dropped set aborts what it holds.
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    accepted = listener.accept() => {
                        let Ok((stream, _)) = accepted else { continue };
                        let _ = stream.set_nodelay(true);
                        let handler = handler.clone();
                        connections.spawn(async move {
                            let service = service_fn(move |request| answer(handler.clone(), limit, request));
                            let io = TokioIo::new(stream);
                            let _ = http1::Builder::new().timer(TokioTimer::new()).serve_connection(io, service).await;
                        });
                    }
                    Some(_) = connections.join_next() => {}
                }
            }
        });
        Ok(AsyncServer { addr, task })
    }
}

async fn answer(handler: Handler, limit: usize, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, HangUp> {
    let (head, body) = request.into_parts();
    let response = match Limited::new(body, limit).collect().await {
        Ok(body) => handler(Request::from_parts(head, body.to_bytes())).await,
        Err(_) => {
            let mut response = Response::new(Bytes::new());
            *response.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
            response
        }
    };
    if response.extensions().get::<HangUp>().is_some() {
        return Err(HangUp);
    }
    Ok(response.map(Full::new))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    async fn server() -> AsyncServer {
        AsyncServer::start("127.0.0.1:0", |request| {
            Box::pin(async move {
                tokio::time::sleep(Duration::from_millis(20)).await;
                Response::new(request.into_body())
            })
        })
        .await
        .unwrap()
    }

    /// Status line and body of the answer to a POST.
    async fn post(addr: SocketAddr, body: Vec<u8>) -> (String, String) {
        let mut stream = tokio::net::TcpStream::connect(addr).await.unwrap();
        let head = format!("POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).await.unwrap();
        // A refusal may come before everything is sent.
        let _ = stream.write_all(&body).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        (head.lines().next().unwrap_or_default().to_owned(), body.to_owned())
    }

    #[tokio::test]
    async fn handlers_wait_without_holding_each_other_up() {
        let server = server().await;
        let begin = std::time::Instant::now();
        let all = futures_util::future::join_all((0..50).map(|n| post(server.addr, n.to_string().into_bytes()))).await;
        assert!(begin.elapsed() < Duration::from_millis(20 * 50), "{:?}", begin.elapsed());
        for (n, reply) in all.into_iter().enumerate() {
            assert_eq!(reply, ("HTTP/1.1 200 OK".to_owned(), n.to_string()));
        }
    }

    #[tokio::test]
    async fn large_bodies_are_refused() {
        let server = server().await;
        assert_eq!(post(server.addr, vec![0; BODY_LIMIT]).await.0, "HTTP/1.1 200 OK");
        let refused = post(server.addr, vec![0; 4 * BODY_LIMIT]).await.0;
        assert!(refused.is_empty() || refused.contains(" 413 "), "{refused}");
    }

    #[tokio::test]
    async fn dropping_it_closes_the_port() {
        let server = server().await;
        let addr = server.addr;
        drop(server);
        for _ in 0..100 {
            if std::net::TcpListener::bind(addr).is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("still listening");
    }
}
