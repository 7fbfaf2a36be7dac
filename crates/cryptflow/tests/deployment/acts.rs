//! What hostile clients do, whom the parties know: anything, at random. Nothing that comes of it
//! matters here.

use std::collections::VecDeque;
use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cryptflow::client::Client;
use cryptflow::patience::Patience;
use cryptflow::remote::{Opened, Site};
use cryptflow_party::commitments::{Told, commit};
use cryptflow_party::deployment::Deployment;
use cryptflow_party::edition::Edition;
use cryptflow_party::greeting::{Ask, Greeting, answer, ready, say};
use cryptflow_party::messages::{Manifest, Reply, Request, SessionError, receive, send};
use cryptflow_program::{Checked, Program, validate};
use cryptflow_protocols::ProtocolName;
use cryptflow_wire::LinkOptions;
use cryptflow_wire::tls::Channel;

use crate::common;
use crate::hostile::repeating;
use crate::owner::{Owner, offered};
use crate::sites::Sites;

/// xorshift64*: the same numbers for the same seed.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn one_of<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }

    fn bytes(&mut self, most: u64) -> Vec<u8> {
        (0..self.below(most)).map(|_| self.next() as u8).collect()
    }
}

/// A client that means no good.
pub struct Hostile {
    site: Site,
    model: String,
    deploys: bool,
    /// Connections that say nothing.
    silent: VecDeque<TcpStream>,
    known: VecDeque<Channel>,
}

type Result = std::result::Result<(), Box<dyn std::error::Error>>;
type Act = fn(&mut Hostile, &mut Random) -> Result;

/// What every client may try.
const ACTS: [Act; 14] = [
    |hostile, random| hostile.bytes(random),
    |hostile, random| hostile.says_nothing(random),
    |hostile, random| hostile.says_nothing_but_its_name(random),
    |hostile, random| hostile.greets_oddly(random),
    |hostile, random| hostile.asks_oddly(random),
    |hostile, random| hostile.asks_for_what_there_is_not(random),
    |hostile, random| hostile.asks_for_another_session(random),
    |hostile, random| hostile.comes_to_some_parties(random),
    |hostile, random| hostile.brings_parts_that_do_not_fit(random),
    |hostile, random| hostile.brings_what_is_beyond_bounds(random),
    |hostile, random| hostile.sends_anything(random),
    |hostile, random| hostile.goes_too_early(random),
    |hostile, random| hostile.leaves_in_the_middle(random),
    |hostile, random| hostile.goes_on_after_the_end(random),
];

/// And whoever may deploy.
const DEPLOYING: [Act; 4] = [
    |hostile, random| hostile.deploys_too_much(random),
    |hostile, random| hostile.deploys_no_program(random),
    |hostile, random| hostile.deploys_parts_that_do_not_fit(random),
    |hostile, _| hostile.deploys(),
];

impl Hostile {
    pub fn new(sites: &Sites, name: &str, model: &str, deploys: bool) -> Hostile {
        let site = Site::read(&sites.config(name), None).unwrap();
        let hostile = Hostile {
            site,
            model: model.into(),
            deploys,
            silent: Default::default(),
            known: Default::default(),
        };
        if deploys {
            hostile.deploys().unwrap();
        }
        hostile
    }

    /// One of these; that it fails is as it should be.
    pub fn act(&mut self, random: &mut Random) {
        let all: Vec<Act> = if self.deploys { [&ACTS[..], &DEPLOYING].concat() } else { ACTS.to_vec() };
        let _ = random.one_of(&all)(self, random);
    }

    fn stranger(&self, random: &mut Random) -> std::io::Result<TcpStream> {
        let parties = &self.site.config().parties;
        let stream = TcpStream::connect(&parties[random.below(3) as usize].address)?;
        stream.set_write_timeout(Some(Duration::from_millis(200)))?;
        Ok(stream)
    }

    fn channel(&self, party: usize) -> std::result::Result<Channel, SessionError> {
        let (config, end) = (self.site.config(), Instant::now() + Duration::from_secs(5));
        let entry = &config.parties[party];
        Ok(Channel::connect(&entry.address, &config.identity, entry.keys.now, &format!("P{party}"), end)?)
    }

    fn greeted(&self, party: usize) -> std::result::Result<Channel, SessionError> {
        let mut channel = self.channel(party)?;
        say(&mut channel, &Greeting { version: Edition::NEWEST.number() })?;
        Ok(channel)
    }

    fn any(&self, random: &mut Random) -> std::result::Result<Channel, SessionError> {
        self.greeted(random.below(3) as usize)
    }

    fn bytes(&mut self, random: &mut Random) -> Result {
        let mut stream = self.stranger(random)?;
        if random.below(2) == 0 {
            // A TLS record that is to be long.
            stream.write_all(&[22, 3, 1, 63, 255])?;
        }
        Ok(stream.write_all(&random.bytes(100_000))?)
    }

    fn says_nothing(&mut self, random: &mut Random) -> Result {
        for _ in 0..random.below(20) {
            self.silent.push_back(self.stranger(random)?);
        }
        self.silent.drain(..self.silent.len().saturating_sub(60));
        Ok(())
    }

    fn says_nothing_but_its_name(&mut self, random: &mut Random) -> Result {
        self.known.push_back(self.any(random)?);
        self.known.drain(..self.known.len().saturating_sub(8));
        Ok(())
    }

    fn greets_oddly(&mut self, random: &mut Random) -> Result {
        let mut channel = self.channel(random.below(3) as usize)?;
        Ok(channel.send(&random.bytes(40_000))?)
    }

    fn asks_oddly(&mut self, random: &mut Random) -> Result {
        let mut channel = self.any(random)?;
        channel.send(&random.bytes(40_000))?;
        answer(&mut channel)?;
        Ok(())
    }

    fn asks_for_what_there_is_not(&mut self, random: &mut Random) -> Result {
        let mut channel = self.any(random)?;
        let name = random.one_of(&["tiny", "none", "../site.key.pem", "", ".", "oscars"]).to_string();
        let ask = random.below(7);
        match ask {
            0 => say(&mut channel, &Ask::Status)?,
            1 => say(&mut channel, &Ask::Describe { name, deployment: [1; 32] })?,
            2 => say(&mut channel, &Ask::Versions { name: Some(name) })?,
            3 => say(&mut channel, &Ask::Settle { name, common: vec![random.below(9)] })?,
            4 => say(&mut channel, &Ask::Remove { name, generation: random.below(9) })?,
            5 => say(&mut channel, &Ask::Lock { name })?,
            _ => say(&mut channel, &Ask::Commit { name, generation: random.below(9), held: Vec::new() })?,
        }
        answer(&mut channel)?;
        Ok(())
    }

    fn manifest(&self) -> std::result::Result<Manifest, Box<dyn std::error::Error>> {
        let (deployment, program) = self.site.describe(&self.model)?;
        Ok(Manifest {
            deployment: Some(deployment.digest()),
            client: Some(self.site.config().identity.fingerprint().0),
            check_inputs: true,
            ..Manifest::new(&program, ProtocolName::Mirror)?
        })
    }

    fn asks_for_another_session(&mut self, random: &mut Random) -> Result {
        let mut manifest = self.manifest()?;
        match random.below(6) {
            0 => manifest.program[3] ^= 1,
            1 => manifest.client = Some([7; 32]),
            2 => manifest.check_inputs = false,
            3 => manifest.ring_bits = 40,
            4 => manifest.protocol = ProtocolName::Porthos,
            _ => manifest.policy = Some([1; 32]),
        }
        let mut channel = self.any(random)?;
        say(&mut channel, &Ask::Open { name: self.model.clone(), manifest, wait: false })?;
        ready(&mut channel)?;
        Ok(())
    }

    /// The others wait for the rest in vain, until this client is gone.
    fn comes_to_some_parties(&mut self, random: &mut Random) -> Result {
        let manifest = self.manifest()?;
        let mut links = Vec::new();
        for party in 0..=random.below(2) as usize {
            let mut channel = self.greeted(party)?;
            say(
                &mut channel,
                &Ask::Open { name: self.model.clone(), manifest: manifest.clone(), wait: false },
            )?;
            ready(&mut channel)?;
            links.push(channel.into_link(Arc::default(), LinkOptions::default(), None)?);
        }
        std::thread::sleep(Duration::from_millis(random.below(1000)));
        Ok(())
    }

    fn session(&self) -> std::result::Result<(Opened, Checked), Box<dyn std::error::Error>> {
        let (deployment, program) = self.site.describe(&self.model)?;
        let opened = self.site.open(&deployment, &program, ProtocolName::Mirror, &mut Patience::none())?;
        for link in &opened.links {
            receive::<Reply>(link)?;
        }
        Ok((opened, program))
    }

    /// Zeros, for the parties of a session.
    fn parts(&self, program: &Program) -> std::result::Result<(Vec<Told>, Vec<Vec<u8>>), SessionError> {
        let owner = ProtocolName::Mirror.owner(program.ring_bits);
        let parts = owner.share_value(&[0; 4 * common::BATCH])?;
        let all: Vec<_> = parts.iter().map(|part| vec![part.clone()]).collect();
        Ok((commit(ProtocolName::Mirror, &all)?, parts))
    }

    fn brings_parts_that_do_not_fit(&mut self, random: &mut Random) -> Result {
        let (opened, program) = self.session()?;
        let (told, mut parts) = self.parts(&program)?;
        let victim = &mut parts[random.below(3) as usize];
        let at = random.below(victim.len() as u64) as usize;
        match random.below(2) {
            0 => victim[at] ^= 1 << random.below(8),
            _ => victim.truncate(at),
        }
        for (link, (told, part)) in opened.links.iter().zip(told.into_iter().zip(parts)) {
            send(link, &Request::Inputs { told })?;
            link.send(part)?;
            send(link, &Request::Go)?;
        }
        opened.links.iter().try_for_each(|link| while_it_answers(link))
    }

    fn brings_what_is_beyond_bounds(&mut self, random: &mut Random) -> Result {
        let (deployment, program) = self.site.describe(&self.model)?;
        let opened = self.site.open(&deployment, &program, ProtocolName::Mirror, &mut Patience::none())?;
        let client = Client::join(opened.links, &program, &opened.manifest, false)?;
        let mut x = vec![0; 4 * common::BATCH];
        x[random.below(8) as usize] = 1 << (24 + random.below(39));
        client.infer(&[x], &mut |_| ())?;
        Ok(())
    }

    fn sends_anything(&mut self, random: &mut Random) -> Result {
        let (opened, _) = self.session()?;
        for _ in 0..random.below(400) {
            let link = &opened.links[random.below(3) as usize];
            let most = random.one_of(&[1, 20, 300, 70_000]);
            link.send(random.bytes(most))?;
        }
        Ok(())
    }

    fn goes_too_early(&mut self, random: &mut Random) -> Result {
        let (opened, _) = self.session()?;
        let request = random.one_of(&[0, 1, 2, 3, 4]);
        for link in &opened.links {
            match request {
                0 => send(link, &Request::Go)?,
                1 => send(link, &Request::Attest)?,
                2 => send(link, &Request::AtOnce { runs: 0 })?,
                3 => send(link, &Request::AtOnce { runs: u32::MAX })?,
                _ => send(link, &Request::Weights { told: Told::default() })?,
            }
        }
        opened.links.iter().try_for_each(|link| while_it_answers(link))
    }

    fn leaves_in_the_middle(&mut self, random: &mut Random) -> Result {
        let (opened, program) = self.session()?;
        let (told, parts) = self.parts(&program)?;
        let going = random.below(4) as usize;
        for (link, (told, part)) in opened.links.iter().zip(told.into_iter().zip(parts)) {
            send(link, &Request::Inputs { told })?;
            link.send(part)?;
        }
        for link in opened.links.iter().take(going) {
            send(link, &Request::Go)?;
        }
        std::thread::sleep(Duration::from_millis(random.below(300)));
        Ok(())
    }

    fn goes_on_after_the_end(&mut self, random: &mut Random) -> Result {
        let (opened, _) = self.session()?;
        for link in &opened.links {
            send(link, &Request::Finish)?;
            link.send(random.bytes(300))?;
        }
        Ok(())
    }

    /// A deployment of the tiny model, and each party's parts.
    #[allow(clippy::type_complexity, reason = "it is used here alone")]
    fn sharing(&self) -> std::result::Result<(Program, Vec<Told>, Vec<Vec<Vec<u8>>>), SessionError> {
        let (program, weights) = common::program();
        let owner = ProtocolName::Mirror.owner(program.ring_bits);
        let mut parts = vec![Vec::new(); 3];
        for weight in weights {
            let words: Vec<u64> = weight.iter().map(|&w| w as u64).collect();
            let shared = owner.share_weight(&words, program.ring_bits)?;
            parts.iter_mut().zip(shared).for_each(|(all, part)| all.push(part));
        }
        Ok((program, commit(ProtocolName::Mirror, &parts)?, parts))
    }

    fn deploys_too_much(&mut self, random: &mut Random) -> Result {
        let program = serde_json::to_string(&repeating(1 << (30 + random.below(33))))?;
        let (_, told, _) = self.sharing()?;
        self.offers(random, program, &told)
    }

    fn deploys_no_program(&mut self, random: &mut Random) -> Result {
        let (program, told, _) = self.sharing()?;
        let mut json = serde_json::to_string(&program)?.into_bytes();
        for _ in 0..=random.below(4) {
            let at = random.below(json.len() as u64) as usize;
            json[at] = random.one_of(b"0123456789[]{}\",:-e ");
        }
        self.offers(random, String::from_utf8(json)?, &told)
    }

    fn deploys_parts_that_do_not_fit(&mut self, random: &mut Random) -> Result {
        let (program, mut told, mut parts) = self.sharing()?;
        let victim = random.below(3) as usize;
        match random.below(3) {
            0 => parts[victim][1][0] ^= 1,
            1 => told[victim] = self.sharing()?.1.swap_remove(victim),
            _ => told[victim].commitments[0][0] ^= 1,
        }
        let Owner { generation, mut channels } = Owner::of(&self.site, &self.model)?;
        let mut all = Vec::new();
        for (channel, (told, parts)) in channels.iter_mut().zip(told.iter().zip(&parts)) {
            let deployment = self.deployment(serde_json::to_string(&program)?, told);
            all.push(offered(channel, generation, deployment, told, parts)?);
        }
        for mut channel in channels {
            say(&mut channel, &Ask::Commit { name: self.model.clone(), generation, held: all.clone() })?;
            ready(&mut channel)?;
        }
        Ok(())
    }

    fn deployment(&self, program: String, told: &Told) -> Deployment {
        let (name, commitments) = (self.model.clone(), told.commitments.clone());
        Deployment { name, program, protocol: ProtocolName::Mirror, commitments }
    }

    /// Offers a party a program, and weights of any lengths.
    fn offers(&self, random: &mut Random, program: String, told: &[Told]) -> Result {
        let Owner { generation, mut channels } = Owner::of(&self.site, &self.model)?;
        let deployment = self.deployment(program, &told[0]);
        let lengths = (0..random.below(4)).map(|_| random.next() >> random.below(64)).collect();
        let (salts, replace) = (told[0].salts.clone(), true);
        let channel = &mut channels[random.below(3) as usize];
        say(channel, &Ask::Deploy { generation, deployment, salts, lengths, replace })?;
        ready(channel)?;
        Ok(channel.send(&random.bytes(400_000))?)
    }

    fn deploys(&self) -> Result {
        let (program, weights) = common::program();
        let program = validate(program).map_err(|invalid| format!("{invalid}"))?;
        self.site.deploy(&self.model, &program, &weights, ProtocolName::Mirror, true, &|_, _| ())?;
        Ok(())
    }
}

/// Hears a party to its end.
fn while_it_answers(link: &cryptflow_wire::Link) -> Result {
    loop {
        receive::<Reply>(link)?;
    }
}
