//! The one HTTP client: its limits, its encryption, and errors that people can act on.

use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use std::error::Error;
use std::net::IpAddr;
use std::time::Duration;

/// A client for one address.
#[derive(Clone, Debug)]
pub(super) struct Http {
    client: Client,
    url: Url,
}

impl Http {
    /// A client that takes no longer than `limit` from the connection to the answer, and follows no redirects. Addresses
    /// of this machine are asked directly, others through a proxy where the environment names one. Every question has a
    /// connection of its own: a kept one would hide that no new one is taken. Blocks: the system's certificates are read.
    ///
    /// # Errors
    /// If the address is none, or nothing can be encrypted here.
    pub(super) fn new(url: &str, limit: Duration) -> Result<Self, String> {
        let url = Url::parse(url).map_err(|error| format!("its address cannot be read: {error}"))?;
        // An error says that somebody has chosen one before.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let agent = concat!("upbeat/", env!("CARGO_PKG_VERSION"));
        let mut client =
            Client::builder().user_agent(agent).timeout(limit).redirect(Policy::none()).pool_max_idle_per_host(0);
        if is_local(&url) {
            client = client.no_proxy();
        }
        if url.scheme() == "http" {
            // Without encryption there is no reason to read certificates, nor to fail where there are none.
            client = client.tls_certs_only([]);
        }
        let client = client.build().map_err(|error| said(&error))?;
        Ok(Self { client, url })
    }

    /// Asks with GET, and returns the status of the answer, whose body is not read.
    ///
    /// # Errors
    /// Why there is no answer.
    pub(super) async fn status(&self) -> Result<u16, String> {
        let answer = self.client.get(self.url.clone()).send().await.map_err(|error| said(&error))?;
        Ok(answer.status().as_u16())
    }
}

/// Whether an address is this machine's own.
fn is_local(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The last cause says what happened, the others only where.
fn said(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut cause: &dyn Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_this_machines_own_is_asked_directly() {
        let local = |text: &str| is_local(&Url::parse(text).unwrap());
        for own in ["http://localhost:1/x", "http://127.0.0.1/", "http://127.9.9.9/", "https://[::1]:8/"] {
            assert!(local(own), "{own}");
        }
        for other in ["http://localhost.example/", "http://128.0.0.1/", "http://[::2]/", "http://127.0.0.1.example/"] {
            assert!(!local(other), "{other}");
        }
    }

    #[test]
    fn an_address_that_is_none_is_refused_with_the_reason() {
        let error = |url: &str| Http::new(url, Duration::from_secs(1)).unwrap_err();
        assert!(error("no address").contains("cannot be read"));
        assert!(Http::new("https://localhost/", Duration::from_secs(1)).is_ok(), "encryption is there");
    }
}
