//! Sockets: bound by us, or handed over by systemd.

use std::io;
use std::net::{IpAddr, TcpListener};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::{UnixStream, lookup_host};

use super::Listen;

/// Connections the kernel holds until they are accepted.
const BACKLOG: u32 = 4096;

/// How long a connection is silent before it is asked whether the client is still there.
const SILENCE: Duration = Duration::from_secs(30);

/// A bound socket.
#[derive(Debug)]
pub enum Listener {
    /// TCP.
    Tcp(TcpListener),
    /// A unix socket, and its path if we made it.
    Unix(UnixListener, Option<PathBuf>),
}

impl Listener {
    /// Binds a socket. A name with several addresses gives a listener for the first that can be bound.
    ///
    /// # Errors
    /// When it cannot be bound; `AddrInUse` too for a unix socket on which somebody listens.
    pub async fn bind(listen: &Listen) -> io::Result<Self> {
        match listen {
            Listen::Tcp(address) => {
                let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
                for address in lookup_host(address).await? {
                    match bind_tcp(address) {
                        Ok(listener) => return Ok(Self::Tcp(listener)),
                        Err(error) => last = error,
                    }
                }
                Err(last)
            }
            Listen::Unix(path) => {
                clear_stale(path).await?;
                let listener = UnixListener::bind(path)?;
                // A reverse proxy runs as somebody else; who may reach the socket is decided by its directory.
                std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666))?;
                listener.set_nonblocking(true)?;
                Ok(Self::Unix(listener, Some(path.clone())))
            }
        }
    }

    /// The sockets systemd has handed over (`LISTEN_FDS`), each with its name from `FileDescriptorName=`.
    ///
    /// # Errors
    /// When one is neither a TCP nor a unix stream socket.
    pub fn handed_over() -> io::Result<Vec<(String, Self)>> {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut fds = listenfd::ListenFd::from_env();
        let mut all = Vec::new();
        for index in 0..fds.len() {
            let name = names.split(':').nth(index).unwrap_or_default().to_owned();
            let listener = if let Ok(Some(tcp)) = fds.take_tcp_listener(index) {
                tcp.set_nonblocking(true)?;
                Self::Tcp(tcp)
            } else if let Ok(Some(unix)) = fds.take_unix_listener(index) {
                unix.set_nonblocking(true)?;
                Self::Unix(unix, None)
            } else {
                return Err(io::Error::other(format!("socket {index} from systemd is no stream socket to listen on")));
            };
            all.push((name, listener));
        }
        Ok(all)
    }

    /// Whether only this machine can reach it.
    #[must_use]
    pub fn is_private(&self) -> bool {
        match self {
            Self::Tcp(tcp) => tcp.local_addr().is_ok_and(|address| address.ip().to_canonical().is_loopback()),
            Self::Unix(..) => true,
        }
    }

    /// Where it listens, in the words of the configuration.
    #[must_use]
    pub fn address(&self) -> String {
        match self {
            Self::Tcp(tcp) => tcp.local_addr().map_or_else(|_| "tcp".into(), |address| address.to_string()),
            Self::Unix(unix, _) => {
                let address = unix.local_addr().ok();
                let path = address.as_ref().and_then(|address| address.as_pathname());
                format!("unix:{}", path.unwrap_or(Path::new("?")).display())
            }
        }
    }

    /// What accepts, within the runtime of the caller.
    pub(super) fn acceptor(&self) -> io::Result<Acceptor> {
        Ok(match self {
            Self::Tcp(tcp) => Acceptor::Tcp(tokio::net::TcpListener::from_std(tcp.try_clone()?)?),
            Self::Unix(unix, _) => Acceptor::Unix(tokio::net::UnixListener::from_std(unix.try_clone()?)?),
        })
    }
}

/// A listener at work.
#[derive(Debug)]
pub(super) enum Acceptor {
    Tcp(tokio::net::TcpListener),
    Unix(tokio::net::UnixListener),
}

impl Acceptor {
    pub(super) async fn accept(&self) -> io::Result<Accepted> {
        match self {
            Self::Tcp(tcp) => {
                let (stream, peer) = tcp.accept().await?;
                // It fails where the client is gone already; that is found out soon enough.
                let _ = stream.set_nodelay(true);
                Ok(Accepted::Tcp(stream.into_std()?, peer.ip()))
            }
            Self::Unix(unix) => Ok(Accepted::Unix(unix.accept().await?.0.into_std()?)),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Self::Unix(_, Some(path)) = self {
            // Left behind it would only be cleared by the next start.
            let _ = std::fs::remove_file(path);
        }
    }
}

fn bind_tcp(address: std::net::SocketAddr) -> io::Result<TcpListener> {
    use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    // Connections inherit it. A client that vanished without a word is noticed although it owes nothing: one that listens
    // to a stream, or waits.
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(SILENCE).with_interval(SILENCE / 4).with_retries(4))?;
    socket.set_tcp_user_timeout(Some(SILENCE * 2))?;
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(BACKLOG).unwrap_or(i32::MAX))?;
    Ok(socket.into())
}

/// Removes a socket file nobody listens on. Anything else at that path is left alone, and binding fails.
async fn clear_stale(path: &Path) -> io::Result<()> {
    let Ok(found) = std::fs::symlink_metadata(path) else { return Ok(()) };
    if !found.file_type().is_socket() {
        return Ok(());
    }
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path),
        Ok(_) => Err(io::ErrorKind::AddrInUse.into()),
        Err(_) => Ok(()),
    }
}

/// A connection on its way to the thread that will serve it.
#[derive(Debug)]
pub(super) enum Accepted {
    Tcp(std::net::TcpStream, IpAddr),
    Unix(std::os::unix::net::UnixStream),
}
