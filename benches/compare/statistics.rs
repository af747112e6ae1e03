//! Medians and percentiles of samples, and the ratios of samples taken in pairs.

/// The summary of samples in a table, in the samples' unit.
pub struct Summary {
    pub minimum: f64,
    pub median: f64,
    /// The 90th percentile.
    pub p90: f64,
    pub maximum: f64,
}

/// Summarises samples, of which there must be at least one.
pub fn summary(samples: &[f64]) -> Summary {
    let sorted = sorted(samples);
    Summary {
        minimum: sorted[0],
        median: percentile(&sorted, 50),
        p90: percentile(&sorted, 90),
        maximum: percentile(&sorted, 100),
    }
}

/// The median of the ratios of samples from the same round. Unlike the ratio of two medians, it is not affected by load
/// that slows down both samples of a pair.
pub fn paired_ratio(samples: &[f64], base: &[f64]) -> f64 {
    let ratios: Vec<f64> = samples
        .iter()
        .zip(base)
        .map(|(sample, base)| sample / base)
        .collect();
    summary(&ratios).median
}

fn sorted(samples: &[f64]) -> Vec<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// A percentile of sorted samples, by the nearest rank.
fn percentile(sorted: &[f64], percent: usize) -> f64 {
    sorted[(sorted.len() - 1) * percent / 100]
}
