//! The public keys of Backstage's plugins: fetched when first needed, kept, fetched again when a token names one that is not
//! known, though not more often than every half minute.
//!
//! Whose keys to fetch is said by a token that nobody has vouched for yet. So what is unknown costs little: few look-ups a
//! minute for plugins that never had keys, a short list, one look-up at a time for each plugin.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::validate::plugin_token::{PluginKey, keys};

/// How soon keys may be fetched again.
const COOL_DOWN: Duration = Duration::from_secs(30);

/// How long keys are believed without looking whether they are still published.
const FRESH: Duration = Duration::from_secs(600);

/// The most plugins that are remembered.
const MAX_PLUGINS: usize = 256;

/// Look-ups in a minute for plugins of which no key is known.
const MAX_STRANGERS: u32 = 30;

/// What a look-up gave: the key set, none where the plugin has none, or why it could not be had.
pub type Fetched = Result<Option<Vec<u8>>, String>;

/// Looks a plugin's key set up.
pub type Fetch = Box<dyn Fn(&str) -> Pin<Box<dyn Future<Output = Fetched> + Send>> + Send + Sync>;

/// Why there are no keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoKeys {
    /// They could not be had at the moment.
    Unreachable,
    /// There are none.
    None,
}

/// See the module.
pub struct PluginKeys {
    fetch: Fetch,
    plugins: Mutex<HashMap<String, Arc<Plugin>>>,
    strangers: Mutex<(Option<Instant>, u32)>,
}

#[derive(Default)]
struct Plugin(tokio::sync::Mutex<Known>);

#[derive(Default)]
struct Known {
    keys: Arc<Vec<PluginKey>>,
    /// When it was last tried to fetch them.
    tried: Option<Instant>,
    /// When that last succeeded.
    fetched: Option<Instant>,
    unreachable: bool,
}

impl fmt::Debug for PluginKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PluginKeys")
    }
}

impl PluginKeys {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(fetch: Fetch) -> Self {
        Self { fetch, plugins: Mutex::default(), strangers: Mutex::default() }
    }

    /// The keys of a plugin, fetched if that has to be.
    pub(super) async fn of(&self, plugin: &str) -> Result<Arc<Vec<PluginKey>>, NoKeys> {
        self.look(plugin, |known| known.fetched.is_none_or(|at| at.elapsed() > FRESH)).await
    }

    /// The same after they were found wanting.
    pub(super) async fn anew(&self, plugin: &str) -> Result<Arc<Vec<PluginKey>>, NoKeys> {
        self.look(plugin, |_| true).await
    }

    async fn look(&self, name: &str, wanting: impl Fn(&Known) -> bool) -> Result<Arc<Vec<PluginKey>>, NoKeys> {
        let plugin = self.plugin(name);
        // Whoever comes meanwhile waits for this look-up instead of making another.
        let mut known = plugin.0.lock().await;
        let rested = known.tried.is_none_or(|at| at.elapsed() > COOL_DOWN);
        if wanting(&known) && rested && (!known.keys.is_empty() || self.may_ask_for_stranger()) {
            known.tried = Some(Instant::now());
            match (self.fetch)(name).await {
                Ok(set) => match set.as_deref().map_or(Ok(Vec::new()), keys) {
                    Ok(keys) => {
                        known.keys = Arc::new(keys);
                        known.fetched = Some(Instant::now());
                        known.unreachable = false;
                    }
                    Err(error) => {
                        tracing::warn!(plugin = name, error, "cannot read the keys of a Backstage plugin");
                        known.unreachable = true;
                    }
                },
                Err(error) => {
                    tracing::warn!(plugin = name, error, "cannot fetch the keys of a Backstage plugin");
                    known.unreachable = true;
                }
            }
        }
        match (known.keys.is_empty(), known.unreachable || known.fetched.is_none()) {
            (false, _) => Ok(Arc::clone(&known.keys)),
            (true, true) => Err(NoKeys::Unreachable),
            (true, false) => Err(NoKeys::None),
        }
    }

    fn plugin(&self, name: &str) -> Arc<Plugin> {
        let mut plugins = self.plugins.lock().unwrap_or_else(PoisonError::into_inner);
        if !plugins.contains_key(name) && plugins.len() >= MAX_PLUGINS {
            // Those that have keys are the ones that matter; one that is being looked up is in use.
            plugins.retain(|_, plugin| plugin.0.try_lock().map_or(true, |known| !known.keys.is_empty()));
            if plugins.len() >= MAX_PLUGINS {
                plugins.clear();
            }
        }
        Arc::clone(plugins.entry(name.to_owned()).or_default())
    }

    fn may_ask_for_stranger(&self) -> bool {
        let mut strangers = self.strangers.lock().unwrap_or_else(PoisonError::into_inner);
        if strangers.0.is_none_or(|since| since.elapsed() > Duration::from_secs(60)) {
            *strangers = (Some(Instant::now()), 0);
        }
        strangers.1 += 1;
        strangers.1 <= MAX_STRANGERS
    }
}
