//! The browser process: where it is, how it is started, and that nothing of it stays behind.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tempfile::TempDir;

use super::{AgentConfig, AgentFault};

/// Longest time a browser may take to start.
const START: Duration = Duration::from_secs(30);

/// Names of the browser on `PATH`, best first.
const NAMES: [&str; 10] = [
    "chromium",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "chromium-browser",
    "google-chrome-beta",
    "chrome-browser",
    "microsoft-edge",
    "microsoft-edge-stable",
    "headless_shell",
];

/// Features that are off: they would upgrade `http`, look up hosts of their own, block requests to test hosts on loopback,
/// or show a page again without asking the server; or, for each context, load the pages behind an address bar that nobody sees, which
/// takes more of a processor than a whole login.
const OFF: &str = "--disable-features=HttpsUpgrades,HttpsFirstBalancedMode,HttpsFirstBalancedModeAutoEnable,\
LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests,BackForwardCache,Translate,OptimizationHints,MediaRouter,\
DialMediaRouteProvider,AcceptCHFrame,CertificateTransparencyComponentUpdater,PasswordLeakDetection,Prerender2,\
WebUIOmniboxPopup,WebUIOmniboxAimPopup";

/// The browser to use: `CHROME`, then the usual names on `PATH`, then the usual places of the operating system.
pub fn find_chrome() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("CHROME").map(PathBuf::from)
        && path.is_file()
    {
        return Some(path);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = NAMES.iter().find_map(|name| {
        std::env::split_paths(&path).map(|dir| dir.join(format!("{name}{}", std::env::consts::EXE_SUFFIX))).find(|p| p.is_file())
    });
    on_path.or_else(|| headless_chrome::browser::default_executable().ok())
}

/// A running browser with its profile directory; dropping it kills the one and removes the other.
pub(super) struct Process {
    child: Child,
    profile: Option<TempDir>,
    /// `ws://` address of its DevTools.
    pub address: String,
}

impl Process {
    /// Starts the browser; blocking, at most 30 s.
    pub(super) fn start(program: &Path, config: &AgentConfig) -> Result<Self, AgentFault> {
        let root = is_root();
        match Self::attempt(program, config, !root) {
            // In a container the sandbox may be impossible for other users, too.
            Err(AgentFault::NoBrowser(why)) if !root && why.to_ascii_lowercase().contains("sandbox") => {
                Self::attempt(program, config, false)
            }
            other => other,
        }
    }

    fn attempt(program: &Path, config: &AgentConfig, sandbox: bool) -> Result<Self, AgentFault> {
        let failed = |why: String| {
            AgentFault::NoBrowser(format!(
                "cannot start {}: {why}. Install Chromium, name another one with CHROME=PATH, or use the form agent",
                program.display()
            ))
        };
        let profile = tempfile::Builder::new()
            .prefix("ipsie-conform-profile-")
            .tempdir()
            .map_err(|e| failed(format!("no profile: {e}")))?;
        let mut command = Command::new(program);
        command.args(arguments(config, sandbox)).arg(format!("--user-data-dir={}", profile.path().display()));
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut process =
            Process { child: child.map_err(|e| failed(e.to_string()))?, profile: Some(profile), address: String::new() };
        let Some(stderr) = process.child.stderr.take() else { return Err(failed("no standard error".into())) };
        let (said, lines) = mpsc::channel();
        // Reads until the browser ends, so that it never blocks on a full pipe.
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let _ = said.send(line);
            }
        });
        let until = Instant::now() + START;
        let mut heard = Vec::new();
        loop {
            match lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) => match line.split_once("DevTools listening on ") {
                    Some((_, address)) => {
                        process.address = address.trim().to_owned();
                        return Ok(process);
                    }
                    None => heard.push(line),
                },
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    return Err(failed(format!("it was not ready within {} s", START.as_secs())));
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => {
                    let tail = heard[heard.len().saturating_sub(3)..].join("; ");
                    return Err(failed(if tail.is_empty() { "it ended at once".into() } else { format!("it ended: {tail}") }));
                }
            }
        }
    }

    #[cfg(all(test, unix))]
    pub(super) fn for_test(&self) -> (u32, PathBuf) {
        (self.child.id(), self.profile.as_ref().unwrap().path().to_owned())
    }

    /// Waits for the browser to end by itself, then makes sure; blocking.
    pub(super) fn end(mut self, within: Duration) {
        let until = Instant::now() + within;
        // A child process can only be waited for without a limit, so its end is looked for.
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(profile) = self.profile.take() {
            let path = profile.path().to_owned();
            // Helper processes end a moment after the browser and may still write.
            for _ in 0..20 {
                if std::fs::remove_dir_all(&path).is_ok() || !path.exists() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(25));
            }
            drop(profile);
        }
    }
}

#[cfg(unix)]
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    // The owner of a file that this process makes is its effective user.
    tempfile::tempfile().and_then(|file| file.metadata()).is_ok_and(|data| data.uid() == 0)
}

#[cfg(not(unix))]
fn is_root() -> bool {
    false
}

fn arguments(config: &AgentConfig, sandbox: bool) -> Vec<String> {
    let mut all: Vec<String> = [
        "--remote-debugging-port=0",
        "--no-first-run",
        "--no-default-browser-check",
        "--disable-gpu",
        "--disable-quic",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-client-side-phishing-detection",
        "--disable-default-apps",
        "--disable-domain-reliability",
        "--disable-sync",
        "--disable-breakpad",
        "--disable-extensions",
        "--disable-dev-shm-usage",
        "--disable-background-timer-throttling",
        "--disable-backgrounding-occluded-windows",
        "--disable-renderer-backgrounding",
        "--disable-popup-blocking",
        "--metrics-recording-only",
        "--password-store=basic",
        "--use-mock-keychain",
        "--mute-audio",
        "--window-size=1000,750",
        OFF,
    ]
    .map(str::to_owned)
    .to_vec();
    if !config.headed {
        all.push("--headless=new".into());
    }
    if !sandbox {
        all.push("--no-sandbox".into());
    }
    let pins: Vec<String> = config.roots.iter().chain(&config.leaves).filter_map(|der| spki(der)).collect();
    if !pins.is_empty() {
        all.push(format!("--ignore-certificate-errors-spki-list={}", pins.join(",")));
    }
    if !config.resolve.is_empty() {
        let rules: Vec<String> = config.resolve.iter().map(|(from, to)| format!("MAP {from} {to}")).collect();
        all.push(format!("--host-resolver-rules={}", rules.join(",")));
        // A proxy would resolve the names itself.
        let hosts: Vec<&str> =
            config.resolve.iter().map(|(from, _)| from.rsplit_once(':').map_or(&**from, |(host, _)| host)).collect();
        all.push(format!("--proxy-bypass-list={}", hosts.join(";")));
    }
    all
}

/// base64 of the SHA-256 of a certificate's SubjectPublicKeyInfo.
fn spki(der: &[u8]) -> Option<String> {
    let (_, certificate) = x509_parser::parse_x509_certificate(der).ok()?;
    Some(STANDARD.encode(digest(&SHA256, certificate.tbs_certificate.subject_pki.raw)))
}
