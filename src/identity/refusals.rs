use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;

/// This many bad credentials of an address get 401 in a minute. Further ones get 429.
const MOST: u32 = 20;
/// How long refusals of an address are counted together.
const MINUTE: Duration = Duration::from_mins(1);
/// The most addresses that are counted.
const ADDRESSES: u64 = 10_000;

/// Counts refused credentials by the address that they came from. Addresses of IPv6 count by their /64, since one
/// machine has all of it. A good credential is never refused because of bad ones from the same address.
#[derive(Debug)]
pub(super) struct Refusals(Cache<IpAddr, Arc<AtomicU32>>);

impl Refusals {
    pub(super) fn new() -> Self {
        Self(
            Cache::builder()
                .eviction_policy(EvictionPolicy::lru())
                .max_capacity(ADDRESSES)
                .time_to_live(MINUTE)
                .build(),
        )
    }

    /// Counts one more; answers whether there were too many.
    pub(super) fn are_too_many_with(&self, client: IpAddr) -> bool {
        let count = self.0.get_with(network(client), Arc::default);
        count.fetch_add(1, Ordering::Relaxed) >= MOST
    }
}

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(refusals: &Refusals, address: &str) -> bool {
        refusals.are_too_many_with(address.parse().unwrap())
    }

    #[test]
    fn the_twenty_first_refusal_of_an_address_in_a_minute_is_one_too_many() {
        let refusals = Refusals::new();
        assert!((0..20).all(|_| !refused(&refusals, "192.0.2.7")));
        assert!(refused(&refusals, "192.0.2.7") && refused(&refusals, "::ffff:192.0.2.7"));
        assert!(!refused(&refusals, "192.0.2.8"));
    }

    #[test]
    fn addresses_of_ipv6_count_by_their_network_of_64_bits() {
        let refusals = Refusals::new();
        assert!((0..20).all(|n| !refused(&refusals, &format!("2001:db8:0:1::{n}"))));
        assert!(refused(&refusals, "2001:db8:0:1:ffff::1"));
        assert!(!refused(&refusals, "2001:db8:0:2::1"));
    }
}
