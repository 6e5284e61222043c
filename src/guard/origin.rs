//! Which addresses are one origin: one of IPv4 by itself, and of IPv6 a network of 64 bits, which is what one customer has.

use std::net::{IpAddr, Ipv6Addr};

/// Where somebody asks from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Origin(IpAddr);

impl Origin {
    /// The origin of an address; none of this machine's own, and none where the address is not known.
    pub fn of(address: Option<IpAddr>) -> Option<Self> {
        let address = address?.to_canonical();
        if address.is_loopback() {
            return None;
        }
        Some(Self(match address {
            IpAddr::V4(_) => address,
            IpAddr::V6(address) => {
                let network = u128::from(address) >> 64 << 64;
                IpAddr::V6(Ipv6Addr::from(network))
            }
        }))
    }
}
