//! Chromium without a screen, steered by the `WebDriver` protocol (<https://www.w3.org/TR/webdriver2/>): HTTP and JSON to
//! `chromedriver`, in as few words as these tests need.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::eventually;

/// A browser takes its time to start where others work as well.
const PATIENCE: Duration = Duration::from_secs(60);

/// The rest keeps Chromium from looking for its maker's servers.
const FLAGS: &[&str] = &[
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
];

/// What names an element in the protocol.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser with one tab, from the first page it opens to the end of the test.
pub(crate) struct Browser {
    driver: Child,
    port: u16,
    session: String,
    /// The only place that may be asked anything.
    origin: String,
    /// Goes away with everything the browser wrote.
    profile: TempDir,
}

impl Browser {
    /// Starts a browser that is to see nothing but that `host:port`.
    pub(crate) fn start(address: &str) -> Self {
        for (name, package) in [("chromium", "chromium"), ("chromedriver", "chromium-driver")] {
            let path = std::env::var_os("PATH").unwrap_or_default();
            let there = std::env::split_paths(&path).any(|folder| folder.join(name).is_file());
            assert!(there, "this test needs `{name}` (Debian: {package}); `.ci/tools` installs it");
        }
        let profile = tempfile::tempdir().expect("a folder");
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .env("HOME", profile.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver starts");
        let mut said = BufReader::new(driver.stdout.take().expect("piped")).lines().map_while(Result::ok);
        let port = said.find_map(|line| line.split_once("successfully on port ")?.1.trim_end_matches('.').parse().ok());
        let port = port.expect("chromedriver says its port");
        let mut browser = Self { driver, port, session: String::new(), origin: format!("http://{address}"), profile };
        let data = format!("--user-data-dir={}", browser.profile.path().join("data").display());
        let flags: Vec<&str> = FLAGS.iter().copied().chain([data.as_str()]).collect();
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
            "goog:chromeOptions": { "args": flags },
        } } });
        let session = browser.call("POST", "/session", &wanted);
        browser.session = format!("/session/{}", session["sessionId"].as_str().expect("a session"));
        browser.resize(1280, 900);
        browser
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        self.try_call(method, path, body).unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    fn try_call(&self, method: &str, path: &str, body: &Value) -> Result<Value, String> {
        let text = |error: std::io::Error| error.to_string();
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).map_err(text)?;
        stream.set_read_timeout(Some(PATIENCE)).map_err(text)?;
        let (port, body) = (self.port, if method == "POST" { body.to_string() } else { String::new() });
        let head = format!("{method} {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-type: application/json\r\n");
        stream.write_all(format!("{head}content-length: {}\r\n\r\n{body}", body.len()).as_bytes()).map_err(text)?;
        let mut stream = BufReader::new(stream);
        let mut length = 0;
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).map_err(text)?;
            let line = line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().map_err(|_| format!("an odd length: {line}"))?;
            }
        }
        let mut answer = vec![0; length];
        stream.read_exact(&mut answer).map_err(text)?;
        let mut answer: Value = serde_json::from_slice(&answer).map_err(|error| error.to_string())?;
        match answer["value"]["error"].as_str() {
            Some(error) => Err(format!("{error}: {}", answer["value"]["message"])),
            None => Ok(answer["value"].take()),
        }
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        self.call("POST", &format!("{}{path}", self.session), body)
    }

    /// A command of the `DevTools` protocol.
    fn devtools(&self, command: &str, parameters: &Value) {
        self.post("/goog/cdp/execute", &json!({ "cmd": command, "params": parameters }));
    }

    pub(crate) fn resize(&self, width: u32, height: u32) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.devtools("Emulation.setDeviceMetricsOverride", &size);
    }

    /// `light` or `dark`.
    pub(crate) fn prefer(&self, scheme: &str) {
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.devtools("Emulation.setEmulatedMedia", &features);
    }

    /// Opens the page at a view, such as `#/topics`.
    pub(crate) fn open(&self, view: &str) {
        self.post("/url", &json!({ "url": format!("{}/{view}", self.origin) }));
    }

    pub(crate) fn reload(&self) {
        self.post("/refresh", &json!({}));
    }

    pub(crate) fn back(&self) {
        self.post("/back", &json!({}));
    }

    /// What a script returns.
    pub(crate) fn run(&self, script: &str, arguments: &[&str]) -> Value {
        self.post("/execute/sync", &json!({ "script": script, "args": arguments }))
    }

    /// Waits until an expression is neither false nor nothing.
    pub(crate) fn until(&self, what: &str, expression: &str) -> Value {
        let script = format!("return {expression}");
        eventually(what, || {
            let value = self.run(&script, &[]);
            (!matches!(value, Value::Null | Value::Bool(false))).then_some(value)
        })
    }

    /// Waits until the page shows a text.
    pub(crate) fn sees(&self, text: &str) {
        let quoted = Value::from(text);
        self.until(&format!("the page shows `{text}`"), &format!("document.body.innerText.includes({quoted})"));
    }

    /// Waits until the page does not show a text any more.
    pub(crate) fn sees_no(&self, text: &str) {
        let quoted = Value::from(text);
        self.until(&format!("`{text}` goes away"), &format!("!document.body.innerText.includes({quoted})"));
    }

    /// All text of the first element that a selector finds.
    pub(crate) fn text(&self, selector: &str) -> String {
        let text = self.run("return document.querySelector(arguments[0])?.innerText ?? ''", &[selector]);
        text.as_str().expect("text").to_owned()
    }

    /// Waits for an element that can be used and has that text, or any, and clicks in its middle, as a hand would.
    pub(crate) fn click(&self, selector: &str, text: &str) {
        let find = "return [...document.querySelectorAll(arguments[0])].find((node) => !node.disabled \
            && node.checkVisibility() && (arguments[1] === '' || node.innerText.trim() === arguments[1]))";
        eventually(&format!("`{selector}` `{text}` can be clicked"), || {
            let element = self.run(find, &[selector, text]);
            let element = element[ELEMENT].as_str()?;
            // The page may have been drawn anew since.
            self.try_call("POST", &format!("{}/element/{element}/click", self.session), &json!({})).ok()
        });
    }

    /// Types into whatever has the focus. `\u{E007}` is Enter and `\u{E00C}` Escape (`WebDriver`, "keyboard actions").
    pub(crate) fn press(&self, keys: &str) {
        let strokes = keys.chars().flat_map(|key| {
            let key = key.to_string();
            [json!({ "type": "keyDown", "value": key }), json!({ "type": "keyUp", "value": key })]
        });
        let strokes: Vec<Value> = strokes.collect();
        self.post("/actions", &json!({ "actions": [{ "type": "key", "id": "keys", "actions": strokes }] }));
    }

    fn log(&self, kind: &str) -> Vec<Value> {
        self.post("/se/log", &json!({ "type": kind })).as_array().expect("a log").clone()
    }

    /// Nothing was said on the console but what contains one of `expected`, and nobody else was asked for anything.
    pub(crate) fn is_clean(&self, expected: &[&str]) {
        let complaints: Vec<String> = self.log("browser").iter().map(|entry| entry["message"].to_string()).collect();
        let odd: Vec<_> = complaints.iter().filter(|said| !expected.iter().any(|word| said.contains(word))).collect();
        assert!(odd.is_empty(), "the console says {odd:?}");
        let mut asked = 0;
        for entry in self.log("performance") {
            let event: Value = serde_json::from_str(entry["message"].as_str().expect("text")).expect("JSON");
            let event = &event["message"];
            let url = match event["method"].as_str() {
                Some("Network.requestWillBeSent") => &event["params"]["request"]["url"],
                Some("Network.webSocketCreated") => &event["params"]["url"],
                _ => continue,
            };
            let url = url.as_str().expect("a URL");
            asked += usize::from(url.starts_with(&format!("{}/", self.origin)));
            let own = [self.origin.as_str(), "blob:", "data:", "about:", "chrome://"];
            assert!(own.iter().any(|start| url.starts_with(start)), "the page asked for {url}");
        }
        assert!(asked > 10, "only {asked} requests were seen");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Ends Chromium as well, which the end of its driver would not.
        let _ = self.try_call("DELETE", &self.session, &Value::Null);
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
