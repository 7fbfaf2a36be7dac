//! The port of a party's operator, where the configuration has one.

use std::sync::Arc;
use std::thread;

use cryptflow_operator::{Port, PortError, Token, Watched};

use super::locked;
use super::peers::OLD;
use crate::code::Code;
use crate::service::{Service, ServiceError};
use crate::site::Site;

impl Service {
    /// Listens for the operator, and looks at the other parties from then on.
    ///
    /// # Errors
    /// It cannot listen there, or others could look who need no token.
    pub(crate) fn open_operator_port(self: &Arc<Self>) -> Result<(), ServiceError> {
        let site = self.site();
        let Some(port) = &site.config.operator else { return Ok(()) };
        let token = port.token.as_deref().map(Token::read).transpose().map_err(PortError::from)?;
        let open = Port::open(&port.listen, token)?;
        if let Ok(address) = open.address() {
            self.log(&format!("the operator's port is http://{address}/"));
        }
        let (watched, looking) = (Arc::clone(self), Arc::clone(self));
        let serving = thread::Builder::new().name("operator".into()).spawn(move || open.serve(watched));
        let looking =
            thread::Builder::new().name("peers".into()).spawn(move || looking.keep_looking_around());
        serving.and(looking).map(drop).map_err(ServiceError::NoThread)
    }

    /// What keeps this party from working with others, for a client; nothing where it does not look.
    pub(crate) fn causes_of_others(&self, site: &Site) -> Option<Vec<(Option<usize>, Code, String)>> {
        site.config.operator.as_ref()?;
        let own = self.watch.standing(site);
        let seen = locked(&self.watch.peers).clone();
        let others = (0..site.config.parties.len()).filter(|&index| index != site.index);
        let of =
            |index: usize| match seen.get(&index).filter(|seen| seen.when.elapsed() < OLD)?.result.clone() {
                Err((code, message)) => Some(vec![(Some(index), code, message)]),
                Ok(asked) => {
                    let name = site.config.party_name(index);
                    let found = super::compare(&own, &asked.standing, &name, asked.ahead);
                    Some(found.into_iter().map(|found| (Some(index), found.code, found.message)).collect())
                }
            };
        Some(others.filter_map(of).flatten().collect())
    }

    /// How the party is, in a few words: where that changes, its log says so.
    pub(super) fn note_readiness(&self, before: &mut Option<String>) {
        let causes = self.state().causes;
        let messages: Vec<&str> = causes.iter().map(|cause| cause.message.as_str()).collect();
        let said = messages.join("; ");
        if before.as_ref() != Some(&said) {
            match causes.is_empty() {
                true => self.log("ready: the other parties are reached, and agree"),
                false => self.warn(&format!("not ready: {said}")),
            }
            *before = Some(said);
        }
    }
}
