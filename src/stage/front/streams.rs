//! Two thin streams: one that gives back bytes already read, one that counts what is read.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::Mine;

/// Longest start of a request that is looked at.
const HEAD: usize = 1024;

/// A TCP stream whose first bytes have been read already.
pub(super) struct Replay {
    first: Vec<u8>,
    given: usize,
    tcp: TcpStream,
}

impl Replay {
    pub(super) fn new(first: Vec<u8>, tcp: TcpStream) -> Replay {
        Replay { first, given: 0, tcp }
    }
}

impl AsyncRead for Replay {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let rest = self.first.get(self.given..).unwrap_or_default();
        if rest.is_empty() {
            return Pin::new(&mut self.tcp).poll_read(cx, buf);
        }
        let count = rest.len().min(buf.remaining());
        buf.put_slice(rest.get(..count).unwrap_or_default());
        self.given += count;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Replay {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

/// A stream that notes how much was read from it, and the first request line.
pub(super) struct Counted<S> {
    inner: S,
    mine: Mine,
    head: Option<Vec<u8>>,
}

impl<S> Counted<S> {
    pub(super) fn new(inner: S, mine: Mine) -> Counted<S> {
        Counted { inner, mine, head: Some(Vec::new()) }
    }

    fn read(&mut self, bytes: &[u8]) {
        let mut line = None;
        if let Some(head) = &mut self.head {
            head.extend(bytes.iter().take(HEAD - head.len().min(HEAD)));
            line = head.iter().position(|byte| *byte == b'\r').map(|end| request(head.get(..end).unwrap_or_default()));
            if line.is_some() || head.len() >= HEAD {
                self.head = None;
            }
        }
        let count = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.mine.note(|connection| {
            connection.request_bytes += count;
            if line.is_some() {
                connection.request = line;
            }
        });
    }
}

/// Method and path of a request line; the query may hold what must not be kept.
fn request(line: &[u8]) -> String {
    let line = String::from_utf8_lossy(line);
    let mut words = line.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    format!("{method} {}", target.split(['?', '#']).next().unwrap_or_default())
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let outcome = Pin::new(&mut self.inner).poll_read(cx, buf);
        let new = buf.filled().get(before..).unwrap_or_default();
        if !new.is_empty() {
            self.read(new);
        }
        outcome
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
