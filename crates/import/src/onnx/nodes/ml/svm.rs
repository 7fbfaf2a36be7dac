//! Support vector machines: kernels of a row and all support vectors, and a linear map of these.

use cryptflow_ring::Movement;

use super::Node;
use super::scores::{Post, Scores};
use crate::budget::check_made;
use crate::compose::kept;
use crate::docs as doc;
use crate::node::{Results, Value};
use crate::onnx::nodes::{Gives, Number, Row, row};
use crate::value::{Fault, fits};
use cryptflow_graph::{
    Activation, Arithmetic, Array, Comparison, Function, Linear, NodeId, Op, Order, Reduce, Reduction,
};

pub(super) const TABLE: &[Row] = &[
    row("SVMRegressor", regressor, doc::LINEAR.note(doc::notes::KERNELS)).gives(Gives::All(Number::Float)),
    row("SVMClassifier", classifier, doc::LINEAR.note(doc::notes::KERNELS))
        .gives(Gives::First(Number::Integer)),
];

/// A kernel, with its parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kernel {
    Linear,
    /// `(γ x·s + c)^d`
    Polynomial {
        gamma: f32,
        offset: f32,
        degree: u32,
    },
    /// `exp(−γ |x − s|²)`
    Radial {
        gamma: f32,
    },
    /// `tanh(γ x·s + c)`
    Sigmoid {
        gamma: f32,
        offset: f32,
    },
}

fn kernel(node: &Node<'_>) -> Result<Kernel, Fault> {
    let parameters = node.attr_floats("kernel_params")?.unwrap_or_default();
    let parameter = |i: usize| parameters.get(i).copied().unwrap_or(0.0);
    let (gamma, offset, degree) = (parameter(0), parameter(1), parameter(2));
    Ok(match node.attr_text("kernel_type", "LINEAR")?.to_ascii_uppercase().as_str() {
        "LINEAR" => Kernel::Linear,
        "POLY" if (1.0..=16.0).contains(&degree) => {
            Kernel::Polynomial { gamma, offset, degree: degree as u32 }
        }
        "POLY" => {
            return Err(
                format!("has a polynomial kernel of the degree {degree}; 1 to 16 are supported").into()
            );
        }
        "RBF" => Kernel::Radial { gamma },
        "SIGMOID" => Kernel::Sigmoid { gamma, offset },
        _ => return Err(Node::wrong("kernel_type")),
    })
}

/// Support vectors, and for each number that is computed what they are multiplied with.
struct Machine {
    kernel: Kernel,
    vectors: Vec<Vec<f32>>,
    scores: Scores,
}

impl Machine {
    /// Its numbers for rows.
    fn of(self, node: &mut Node<'_>, part: Option<&str>, x: NodeId) -> Result<NodeId, Fault> {
        let Machine { kernel, vectors, scores } = self;
        let columns = vectors.first().map_or(0, Vec::len);
        if kernel == Kernel::Linear {
            // Σ cₛ (x·s) = x · Σ cₛ s.
            let together = |weights: &Vec<f32>| {
                let sum = |column: usize| {
                    let products = weights.iter().zip(&vectors).filter_map(|(w, s)| Some(w * s.get(column)?));
                    products.map(f64::from).sum::<f64>() as f32
                };
                (0..columns).map(sum).collect::<Vec<f32>>()
            };
            let work = scores.weights.len().saturating_mul(vectors.len()).saturating_mul(columns);
            node.budget.take_work(work)?;
            let weights = scores.weights.iter().map(together).collect();
            return Scores { weights, bias: scores.bias }.of(node, part, x);
        }
        let kernels = kernels(node, kernel, x, vectors)?;
        scores.of(node, part, kernels)
    }
}

/// The kernels of rows and support vectors: `[rows, vectors]`.
fn kernels(node: &mut Node<'_>, kernel: Kernel, x: NodeId, vectors: Vec<Vec<f32>>) -> Result<NodeId, Fault> {
    let rows = node.shape(x).first().copied().unwrap_or(1);
    fits(&[rows, vectors.len()])?;
    // γ x·s + c, for each vector.
    let product = |node: &mut Node<'_>, factor: f32, offsets: Vec<f32>| {
        let columns = vectors.first().map_or(0, Vec::len);
        let data = vectors.iter().flatten().map(|v| v * factor).collect();
        let weights = node.add_constant("vectors", Array::new(vec![vectors.len(), columns], data)?);
        let map = Op::Linear(Linear::MatMul { transpose_a: false, transpose_b: true });
        let y = node.add_part("products", map, &[x, weights])?;
        let offsets = node.add_constant("offsets", Array::vector(offsets));
        node.add_part("shifted", Arithmetic::Add, &[y, offsets])
    };
    match kernel {
        Kernel::Linear => product(node, 1.0, vec![0.0; vectors.len()]),
        Kernel::Sigmoid { gamma, offset } => {
            let inner = product(node, gamma, vec![offset; vectors.len()])?;
            node.add_part("kernels", Function::TANH, &[inner])
        }
        Kernel::Polynomial { gamma, offset, degree } => {
            let inner = product(node, gamma, vec![offset; vectors.len()])?;
            power(node, inner, degree)
        }
        Kernel::Radial { gamma } => {
            // −γ |x − s|² = 2γ x·s − γ |s|² − γ |x|².
            let of_vector = |s: &Vec<f32>| {
                -f64::from(gamma) * s.iter().map(|&v| f64::from(v) * f64::from(v)).sum::<f64>()
            };
            let sizes = vectors.iter().map(|s| of_vector(s) as f32).collect();
            let inner = product(node, 2.0 * gamma, sizes)?;
            let squares = node.add_part("squares", Arithmetic::Mul, &[x, x])?;
            let sum = node.add_part("sum", kept(Reduction::Sum, vec![1]), &[squares])?;
            let gamma = node.add_number("gamma", gamma);
            let own = node.add_part("own", Arithmetic::Mul, &[sum, gamma])?;
            let distances = node.add_part("distances", Arithmetic::Sub, &[inner, own])?;
            // Rounding alone can lead above zero.
            let zero = node.add_number("zero", 0.0);
            let distances = node.add_part("below_zero", Arithmetic::Minimum, &[distances, zero])?;
            node.add_part("kernels", Function::EXP, &[distances])
        }
    }
}

/// A whole power, by squares and products.
fn power(node: &mut Node<'_>, x: NodeId, degree: u32) -> Result<NodeId, Fault> {
    let (mut result, mut square) = (None, x);
    for bit in 0..u32::BITS - degree.leading_zeros() {
        if bit > 0 {
            square = node.add_part(&format!("power_{}", 1u64 << bit), Arithmetic::Mul, &[square, square])?;
        }
        if degree >> bit & 1 == 1 {
            result = Some(match result {
                None => square,
                Some(y) => node.add_part(&format!("with_{}", 1u64 << bit), Arithmetic::Mul, &[y, square])?,
            });
        }
    }
    Ok(result.unwrap_or(x))
}

/// Support vectors, so many: rows of the columns of x.
fn vectors(node: &Node<'_>, count: usize, columns: usize) -> Result<Vec<Vec<f32>>, Fault> {
    let all = node.needed_floats("support_vectors")?;
    if columns == 0 || count.checked_mul(columns) != Some(all.len()) {
        return Err(
            format!("has {} numbers of {count} support vectors of {columns} columns", all.len()).into()
        );
    }
    Ok(all.chunks(columns).map(<[f32]>::to_vec).collect())
}

fn regressor(node: &mut Node<'_>) -> Results {
    Post::none(node)?;
    let (x, [_, columns]) = node.rows(0)?;
    let weights = node.needed_floats("coefficients")?;
    let bias = vec![node.attr_floats("rho")?.and_then(|rho| rho.first().copied()).unwrap_or(0.0)];
    let supports = usize::try_from(node.attr_int("n_supports", 0)?).map_err(|_| Node::wrong("n_supports"))?;
    if weights.len() != if supports > 0 { supports } else { columns } {
        return Err(Node::wrong("coefficients"));
    }
    let one_class = node.attr_flag("one_class", false)?;
    let part = one_class.then_some("score");
    let score = if supports > 0 {
        let (kernel, vectors) = (kernel(node)?, vectors(node, supports, columns)?);
        Machine { kernel, vectors, scores: Scores { weights: vec![weights], bias } }.of(node, part, x)?
    } else {
        Scores { weights: vec![weights], bias }.of(node, part, x)?
    };
    if !one_class {
        return Ok(vec![Value::Tensor(score)]);
    }
    // 1 above zero, −1 elsewhere.
    let zero = node.add_number("zero", 0.0);
    let above = node.add_part("above", Arithmetic::Compare(Comparison::Greater), &[score, zero])?;
    let (one, other) = (node.add_number("one", 1.0), node.add_number("other", -1.0));
    node.result(Arithmetic::Select, &[above, one, other])
}

/// Each two classes have a score, which votes for one of them.
fn classifier(node: &mut Node<'_>) -> Results {
    let post = Post::of(node)?;
    let names = node
        .class_names("classlabels_ints", "classlabels_strings")?
        .ok_or_else(|| Node::wrong("classlabels_ints"))?;
    let classes = names.len();
    let counts = node.attr_ints("vectors_per_class")?.unwrap_or_default();
    let counts = counts.iter().map(|&n| usize::try_from(n)).collect::<Result<Vec<_>, _>>();
    let counts = counts.map_err(|_| Node::wrong("vectors_per_class"))?;
    let count = counts.iter().try_fold(0usize, |sum, &n| sum.checked_add(n)).unwrap_or(usize::MAX);
    if counts.len() != classes || count == 0 || classes < 2 {
        return Err(format!(
            "has support vectors of {} classes, and {classes} names of classes. Export a linear machine as LinearClassifier",
            counts.len()
        )
        .into());
    }
    let (x, [_, columns]) = node.rows(0)?;
    let vectors = vectors(node, count, columns)?;
    let weights = node.needed_floats("coefficients")?;
    let bias = node.needed_floats("rho")?;
    let pairs: Vec<(usize, usize)> =
        (0..classes).flat_map(|i| (i + 1..classes).map(move |j| (i, j))).collect();
    if weights.len() != (classes - 1).saturating_mul(count) || bias.len() != pairs.len() {
        return Err(Node::wrong("coefficients"));
    }
    check_made(&[pairs.len(), count])?;
    let begins: Vec<usize> = counts.iter().scan(0, |sum, n| Some(std::mem::replace(sum, *sum + n))).collect();
    let of_pair = |&(i, j): &(usize, usize)| {
        let mut row = vec![0.0; count];
        for (class, coefficients) in [(i, j - 1), (j, i)] {
            let own = begins[class]..begins[class] + counts[class];
            let from = coefficients * count;
            row[own.clone()].copy_from_slice(&weights[from + own.start..from + own.end]);
        }
        row
    };
    let scores = Scores { weights: pairs.iter().map(of_pair).collect(), bias };
    let machine = Machine { kernel: kernel(node)?, vectors, scores };
    let calibrated = node.attr_floats("prob_a")?.filter(|a| !a.is_empty());
    if classes == 2 {
        return of_two(node, machine, x, post, calibrated)
            .map(|(class, scores)| vec![node.named(class, names.clone()), Value::Tensor(scores)]);
    }
    let scores = machine.of(node, Some("scores"), x)?;
    let class = voted(node, scores, &pairs, classes)?;
    let mut results = vec![node.named(class, names)];
    if node.is_wanted(1) {
        if calibrated.is_some() {
            return Err("couples the probabilities of pairs of classes, step by step until they agree, for which there is no \
                        rule here. Train it with probability=False, or take the class alone (--output NAME)"
                .into());
        }
        if post != Post::None {
            return Err(
                "makes something of scores of pairs of classes. Export it without a post transform".into()
            );
        }
        let name = node.result_name(1);
        results.push(Value::Tensor(node.add_as(name, Op::Identity, &[scores])?));
    }
    Ok(results)
}

/// The class and the scores of two classes: −s and s, of which a positive s says the first class, or
/// probabilities.
fn of_two(
    node: &mut Node<'_>,
    mut machine: Machine,
    x: NodeId,
    post: Post,
    calibrated: Option<Vec<f32>>,
) -> Result<(NodeId, NodeId), Fault> {
    let name = node.result_name(1);
    if let Some(a) = calibrated {
        if post != Post::None {
            return Err("makes something of probabilities. Export it without a post transform".into());
        }
        let b = node.needed_floats("prob_b")?;
        let (&[a], &[b]) = (a.as_slice(), b.as_slice()) else { return Err(Node::wrong("prob_a")) };
        // s and 0 for the class; 1 / (1 + exp(a s + b)) is the softmax of −(a s + b) and 0.
        let score = machine.of(node, Some("score"), x)?;
        let pair = |node: &mut Node<'_>, part: &str, factor: f32, offset: f32| {
            let scores = Scores { weights: vec![vec![factor], vec![0.0]], bias: vec![offset, 0.0] };
            let outer = node.name.clone();
            let name = format!("{outer}/{part}");
            node.name.clone_from(&name);
            let found = scores.of(node, Some("pair"), score);
            node.name = outer;
            found
        };
        let votes = pair(node, "votes", 1.0, 0.0)?;
        let class = node.add(Order::ArgMax { axis: 1 }, &[votes])?;
        let logits = pair(node, "logits", -a, -b)?;
        return Ok((class, node.add_as(name, Activation::Softmax, &[logits])?));
    }
    let first = machine.scores.weights.first().cloned().unwrap_or_default();
    let bias = machine.scores.bias.first().copied().unwrap_or(0.0);
    machine.scores.weights.push(first.iter().map(|w| -w).collect());
    machine.scores.bias.push(-bias);
    let both = machine.of(node, Some("scores"), x)?;
    let class = node.add(Order::ArgMax { axis: 1 }, &[both])?;
    let turned = Movement::Gather { axis: 1, indices: vec![1, 0] };
    let scores = match post {
        Post::None => node.add_as(name, turned, &[both])?,
        Post::Logistic => {
            let turned = node.add_part("turned", turned, &[both])?;
            node.add_as(name, Function::SIGMOID, &[turned])?
        }
        Post::Softmax => {
            let turned = node.add_part("turned", turned, &[both])?;
            node.add_as(name, Activation::Softmax, &[turned])?
        }
        Post::SoftmaxZero | Post::Probit => {
            return Err("has a post transform for which there is no rule here. Export it without".into());
        }
    };
    Ok((class, scores))
}

/// The class that most scores of pairs vote for; of several the first.
fn voted(
    node: &mut Node<'_>,
    scores: NodeId,
    pairs: &[(usize, usize)],
    classes: usize,
) -> Result<NodeId, Fault> {
    let zero = node.add_number("zero", 0.0);
    let first = node.add_part("first", Arithmetic::Compare(Comparison::Greater), &[scores, zero])?;
    let one = node.add_number("one", 1.0);
    let second = node.add_part("second", Arithmetic::Sub, &[one, first])?;
    let both = node.add_part("both", Movement::Concat { axis: 1 }, &[first, second])?;
    let of_class = |class: usize| {
        pairs.iter().enumerate().filter_map(move |(at, &(i, j))| match class {
            c if c == i => Some(at),
            c if c == j => Some(pairs.len() + at),
            _ => None,
        })
    };
    let indices = (0..classes).flat_map(of_class).collect();
    let votes = node.move_part("votes", Movement::Gather { axis: 1, indices }, both)?;
    let rows = node.shape(votes).first().copied().unwrap_or(1);
    let shape = vec![rows, classes, classes - 1];
    let votes = node.move_part("of_classes", Movement::Reshape { shape }, votes)?;
    let sum = Reduce { kind: Reduction::Sum, axes: vec![2], keep_dims: false };
    let votes = node.add_part("counts", sum, &[votes])?;
    node.add(Order::ArgMax { axis: 1 }, &[votes])
}
