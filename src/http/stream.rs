//! A connection's byte stream that can be watched while it is in use: hyper owns it, and whoever waits for a client beside
//! hyper sees that the client has gone.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// A socket that is used through a shared reference.
pub(super) trait Socket: Send + Sync + 'static {
    fn poll_read_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>>;
    fn poll_write_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>>;
    /// Reads what is there, and takes note if that was all.
    fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize>;
    fn try_write_vectored(&self, parts: &[io::IoSlice<'_>]) -> io::Result<usize>;
    fn shutdown(&self) -> io::Result<()>;
    /// Ends when the other side has closed its half, or the whole; never if it sends something instead.
    fn hung_up(&self) -> impl Future<Output = ()> + Send;
}

macro_rules! socket {
    ($socket:ty) => {
        impl Socket for $socket {
            fn poll_read_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
                <$socket>::poll_read_ready(self, context)
            }

            fn poll_write_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
                <$socket>::poll_write_ready(self, context)
            }

            fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
                let read = <$socket>::try_read(self, buffer)?;
                if (1..buffer.len()).contains(&read) {
                    // That was all there is: another look would only cost a system call. What comes from now on is an event that
                    // this thread, which serves the connection alone, has not taken in yet.
                    let all_read = || Err::<(), _>(io::ErrorKind::WouldBlock.into());
                    let _ = self.try_io(Interest::READABLE, all_read);
                }
                Ok(read)
            }

            fn try_write_vectored(&self, parts: &[io::IoSlice<'_>]) -> io::Result<usize> {
                <$socket>::try_write_vectored(self, parts)
            }

            fn shutdown(&self) -> io::Result<()> {
                socket2::SockRef::from(self).shutdown(std::net::Shutdown::Write)
            }

            async fn hung_up(&self) {
                let look = || socket2::SockRef::from(self).peek(&mut [std::mem::MaybeUninit::uninit()]);
                while self.ready(Interest::READABLE).await.is_ok() {
                    match self.try_io(Interest::READABLE, look) {
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                        // It sends something: that is for whoever reads.
                        Ok(1..) => std::future::pending().await,
                        Ok(0) | Err(_) => return,
                    }
                }
            }
        }
    };
}

socket!(TcpStream);
socket!(UnixStream);

/// The stream as hyper has it.
pub(super) struct Shared<S>(pub(super) Arc<S>);

impl<S: Socket> AsyncRead for Shared<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.0.poll_read_ready(context))?;
            match self.0.try_read(buffer.initialize_unfilled()) {
                Ok(read) => {
                    buffer.advance(read);
                    return Poll::Ready(Ok(()));
                }
                // It was ready no longer, and says when it is again.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl<S: Socket> AsyncWrite for Shared<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[io::IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.0.poll_write_ready(context))?;
            match self.0.try_write_vectored(parts) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.0.shutdown() {
            // The other side was faster.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Poll::Ready(Ok(())),
            done => Poll::Ready(done),
        }
    }
}
