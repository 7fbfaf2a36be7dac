//! A client that speaks with chosen processes, step by step: to stop a session in the middle, or to
//! be in league with a host that runs its party twice.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cryptflow::client::Client;
use cryptflow_party::attested::{Instance, Terms, Trust, attest};
use cryptflow_party::config::Config;
use cryptflow_party::deployment::Deployment;
use cryptflow_party::edition::Edition;
use cryptflow_party::greeting::{Ask, Greeting, Tell, answer, ready, say, versions};
use cryptflow_party::messages::{Manifest, Request, SessionError};
use cryptflow_program::Checked;
use cryptflow_wire::tls::{Channel, Fingerprint, Route};
use cryptflow_wire::{Guard, LinkOptions, Role};

use crate::common;
use crate::sites::Sites;

/// A session of the tiny model that is open.
pub struct Session {
    pub client: Client<'static>,
    pub manifest: Manifest,
    trust: Trust,
    instance: Instance,
    terms: Vec<Terms>,
}

/// The configuration and the trust of the client.
pub struct Alice {
    pub config: Config,
    pub trust: Trust,
}

impl Alice {
    pub fn of(sites: &Sites) -> Alice {
        let config = Config::read(&sites.config("client")).unwrap();
        let trust = Trust::of(&config, Some(&sites.tee())).unwrap().unwrap();
        Alice { config, trust }
    }

    /// A channel to whoever listens at an address with this key.
    pub fn channel(&self, address: &str, key: Fingerprint, index: usize) -> Result<Channel, SessionError> {
        let end = Instant::now() + Duration::from_secs(10);
        let mut channel = Channel::connect(address, &self.config.identity, key, &format!("P{index}"), end)?;
        say(&mut channel, &Greeting { version: Edition::NEWEST.number() })?;
        Ok(channel)
    }

    pub fn describe(&self, address: &str, key: Fingerprint) -> Deployment {
        let mut channel = self.channel(address, key, 0).unwrap();
        say(&mut channel, &Ask::Versions { name: Some("tiny".into()) }).unwrap();
        let kept = versions(&mut channel).unwrap().remove(0).versions.unwrap();
        let deployment = kept[0].version.content.digest();
        say(&mut channel, &Ask::Describe { name: "tiny".into(), deployment }).unwrap();
        match answer(&mut channel).unwrap() {
            Tell::Model(deployment) => *deployment,
            other => panic!("{other:?}"),
        }
    }

    pub fn manifest(&self, deployment: &Deployment) -> (Checked, Manifest) {
        let program = deployment.parse().unwrap();
        let manifest = Manifest {
            deployment: Some(deployment.digest()),
            policy: Some(self.trust.policy),
            client: Some(self.config.identity.fingerprint().0),
            check_inputs: self.config.session.check_inputs,
            ..Manifest::new(&program, deployment.protocol).unwrap()
        };
        (program, manifest)
    }

    /// Asks a party to take part in a session: all of them, before the first one is joined. What is
    /// returned stays open until then.
    pub fn ask(
        &self,
        address: &str,
        key: Fingerprint,
        index: usize,
        manifest: &Manifest,
    ) -> Result<Channel, SessionError> {
        let mut channel = self.channel(address, key, index)?;
        say(&mut channel, &Ask::Open { name: "tiny".into(), manifest: manifest.clone(), wait: false })?;
        ready(&mut channel)?;
        Ok(channel)
    }

    /// Comes to a party's side of a session, and has it prove itself.
    pub fn join(
        &self,
        address: &str,
        key: Fingerprint,
        index: usize,
        manifest: &Manifest,
        instance: &Instance,
    ) -> Result<(Channel, Terms, Guard), SessionError> {
        let (end, name) = (Instant::now() + Duration::from_secs(10), format!("P{index}"));
        let route = Route::to_session(&manifest.session);
        let mut channel = Channel::connect_to(route, address, &self.config.identity, key, &name, end)?;
        ready(&mut channel)?;
        let (own, peer) = (Role::Client, Role::Party(index as u8));
        let spki = self.config.identity.spki();
        let terms = Terms::of(&channel, spki, own, peer, manifest)?;
        let proved = attest(&mut channel, &self.trust, instance, &terms)?;
        let guard = instance.guard(&proved.instance, manifest.session, own, peer, &terms.exporter)?;
        Ok((channel, terms, guard))
    }
}

/// Opens a session with the processes at these sites.
pub fn open(sites: &Sites, at: &[usize; 3]) -> Result<Session, SessionError> {
    let alice = Alice::of(sites);
    let deployment = alice.describe(&sites.addresses[at[0]], sites.fingerprints[at[0]]);
    let (program, manifest) = alice.manifest(&deployment);
    let instance = Instance::fresh()?;
    let (mut links, mut all_terms) = (Vec::new(), Vec::new());
    let ask = |&i: &usize| alice.ask(&sites.addresses[i], sites.fingerprints[i], i, &manifest);
    let _asked = at.iter().map(ask).collect::<Result<Vec<_>, _>>()?;
    for &i in at {
        let (channel, terms, guard) =
            alice.join(&sites.addresses[i], sites.fingerprints[i], i, &manifest, &instance)?;
        let options = LinkOptions { deadline: Duration::from_secs(20), ..LinkOptions::default() };
        links.push(channel.into_link(Arc::default(), options, Some(guard))?);
        all_terms.push(terms);
    }
    // Tests leak a program or two.
    let program: &'static Checked = Box::leak(Box::new(program));
    let client = Client::join(links, program, &manifest, true)?;
    Ok(Session { client, manifest, trust: alice.trust, instance, terms: all_terms })
}

impl Session {
    /// Two rows; the answer must be right.
    pub fn batch(&mut self) -> Result<(), SessionError> {
        let rows = common::rows(common::BATCH);
        let input = cryptflow::fixed::encode(&rows.concat(), common::SCALE);
        let answer = self.client.infer(&[input], &mut |_| ())?;
        let logits = cryptflow::fixed::decode(
            &answer.of_one().ok_or_else(|| "no outputs".to_string()).unwrap()[0],
            common::SCALE,
        );
        let expected: Vec<f32> = rows.iter().flat_map(common::expected).collect();
        for (a, b) in logits.iter().zip(&expected) {
            assert!((a - b).abs() <= 16.0 / 4096.0, "{logits:?}, {expected:?}");
        }
        Ok(())
    }

    /// Fresh evidence of all parties.
    pub fn renew(&mut self) -> Result<(), SessionError> {
        let (trust, instance, terms) = (&self.trust, &self.instance, &self.terms);
        self.client.with_each(&Request::Attest, |i, link| attest(link, trust, instance, &terms[i]).map(drop))
    }

    pub fn finish(self) -> Result<(), SessionError> {
        self.client.finish().map(drop)
    }
}
