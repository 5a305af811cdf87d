/* Evaluates a reduced model, as rom/reduced_model.py does; see romflow_model.h. */

#include "romflow_model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LEAST 1e-15
#define ROUNDING 1e-9
#define PRIOR 0.5

static double larger(double a, double b) { return a > b ? a : b; }

static double normal_cdf(double x) { return 0.5 * erfc(-x / sqrt(2.0)); }

static double unit(const Input *input, double value) {
  double excess;
  switch (input->scale) {
  case LOGARITHMIC:
    excess = larger((value - input->low) / input->low, 2.220446049250313e-16 - 1.0);
    return larger(log1p(excess) / input->extra, -1.0);
  case NORMAL: /* in the upper half from above, which keeps the digits */
    if (value > 0.0)
      return 1.0 - (normal_cdf(-value) - normal_cdf(-input->low - input->width)) / input->extra;
    return (normal_cdf(value) - normal_cdf(input->low)) / input->extra;
  default:
    return (value - input->low) / input->width;
  }
}

static double squared_distance(const double *a, const double *b, size_t n) {
  double sum = 0.0;
  size_t i;
  for (i = 0; i < n; i++) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return sum;
}

static double product(const double *a, const double *b, size_t n) {
  double sum = 0.0;
  size_t i;
  for (i = 0; i < n; i++) sum += a[i] * b[i];
  return sum;
}

/* Matern 5/2 of one set of length scales at all points. */
static void matern(const Regression *r, size_t kernel, const double *u, size_t inputs, double *k) {
  const double *sharp = r->sharp + kernel * inputs, *x = r->x;
  size_t i, j;
  for (j = 0; j < r->points; j++, x += inputs) {
    double squared = 0.0, s;
    for (i = 0; i < inputs; i++) squared += sharp[i] * (u[i] - x[i]) * (u[i] - x[i]);
    s = sqrt(squared);
    k[j] = (1.0 + s + squared / 3.0) * exp(-s);
  }
}

/* What is left of the prior's variance at one kernel. */
static double variance_of(const Regression *r, size_t kernel, const double *k) {
  size_t m = r->points, row;
  const double *factor = r->factors + kernel * (m * (m + 1) / 2);
  double sum = 0.0;
  for (row = 0; row < m; row++) {
    double entry = product(factor, k, row + 1);
    factor += row + 1;
    sum += entry * entry;
  }
  return larger(r->prior[kernel] - r->squared[kernel] * sum, r->noise[kernel]);
}

/* Weights b, and their deviations where `deviation` is not NULL. */
static void gaussian_process(const Regression *r, const double *u, size_t inputs, double *k,
                             double *b, double *deviation) {
  size_t i, kernel;
  for (kernel = 0; kernel < r->kernels; kernel++) {
    size_t begin = r->kernels == 1 ? 0 : kernel, end = r->kernels == 1 ? r->outputs : kernel + 1;
    double variance;
    matern(r, kernel, u, inputs, k);
    for (i = begin; i < end; i++)
      b[i] = r->mean[i] + r->scale[i] * product(k, r->weights + i * r->points, r->points);
    if (!deviation) continue;
    variance = variance_of(r, kernel, k);
    for (i = begin; i < end; i++) deviation[i] = r->scale[i] * sqrt(r->variance[i] * variance);
  }
}

static void radial_basis(const Regression *r, const double *u, size_t inputs, double *k,
                         double *b) {
  size_t i, j, l;
  for (j = 0; j < r->points; j++)
    k[j] = r->sign * pow(squared_distance(u, r->x + j * inputs, inputs), r->power / 2.0);
  for (i = 0; i < r->outputs; i++) {
    double value = product(k, r->weights + i * r->points, r->points);
    for (j = 0; j < r->monomials; j++) {
      double monomial = 1.0;
      for (l = 0; l < inputs; l++) monomial *= pow(u[l], r->exponents[j * inputs + l]);
      value += monomial * r->tail[j * r->outputs + i];
    }
    b[i] = r->mean[i] + r->scale[i] * value;
  }
}

static void need_weights(Evaluation *e, size_t which, int with_deviation) {
  const Model *m = e->model;
  const Regression *r = &m->block[which].regression;
  if (e->weights_known[which] && (!with_deviation || e->deviation_known)) return;
  if (r->method == GAUSSIAN_PROCESS)
    gaussian_process(r, e->u, m->inputs, e->kernel, e->b[which],
                     with_deviation ? e->deviation : NULL);
  else
    radial_basis(r, e->u, m->inputs, e->kernel, e->b[which]);
  e->weights_known[which] = 1;
  if (with_deviation) e->deviation_known = 1;
}

/* All columns of the splines of a block at a time. */
static void spline(const Block *b, double time, double *values) {
  size_t piece = 0, power, i;
  const double *terms;
  double away;
  while (piece + 1 < b->pieces && b->starts[piece + 1] <= time) piece++;
  away = time - b->starts[piece];
  terms = b->polynomials + piece * (b->degree + 1) * b->columns;
  memcpy(values, terms, b->columns * sizeof(double));
  for (power = 0; power < b->degree; power++) {
    terms += b->columns;
    for (i = 0; i < b->columns; i++) values[i] = values[i] * away + terms[i];
  }
}

static const double *need_values(Evaluation *e, size_t which) {
  const Block *b = &e->model->block[which];
  const double *mode = e->spline + b->rows, *place = b->places;
  size_t i, k;
  if (e->values_known[which]) return e->values[which];
  need_weights(e, which, 0);
  spline(b, which == SINGLE_BLOCK ? 0.0 : e->time, e->spline);
  for (i = 0; i < b->rows; i++) {
    double sum = e->spline[i];
    for (k = 0; k < b->modes; k++, place++, mode++)
      if (*place >= 0.0) sum += *mode * e->b[which][(size_t)*place];
    e->values[which][i] = sum * b->scale[i] + b->shift[i];
  }
  e->values_known[which] = 1;
  return e->values[which];
}

/* Distance to the nearest training point, and the score of the range. */
static void place_query(Evaluation *e) {
  const Model *m = e->model;
  double nearest = HUGE_VAL, excess = -HUGE_VAL;
  size_t i;
  for (i = 0; i < m->points; i++) {
    e->squares[i] = squared_distance(e->u, m->x + i * m->inputs, m->inputs);
    if (e->squares[i] < nearest) nearest = e->squares[i];
  }
  for (i = 0; i < m->inputs; i++) excess = larger(excess, fabs(e->u[i] - 0.5) - 0.5);
  e->distance = sqrt(nearest);
  e->score = e->distance / m->limit;
  if (excess > ROUNDING) e->score = larger(e->score, 1.0 + excess / m->spacing);
}

/* The deviation of the regression over the size of its prediction, in the norm of the model. */
static double statistic(Evaluation *e) {
  const Trust *t = &e->model->trust;
  const double *b = e->b[COEFFICIENT_BLOCK];
  double above = 0.0, below = t->constant + t->square;
  size_t i;
  need_weights(e, COEFFICIENT_BLOCK, 1);
  for (i = 0; i < t->weights; i++) {
    above += e->deviation[i] * e->deviation[i] * t->above[i];
    below += b[i] * (product(t->twice + i * t->weights, b, t->weights) + t->once[i]);
  }
  if (below > 0.0) return sqrt(above / below);
  return above > 0.0 ? HUGE_VAL : 0.0;
}

static double local_mean(const Evaluation *e) {
  const Trust *t = &e->model->trust;
  double sum = 0.0, weights = PRIOR;
  size_t i;
  for (i = 0; i < t->pairs; i++) {
    double weight = exp(-0.5 * e->squares[i] / (t->width * t->width));
    sum += weight * t->residuals[i];
    weights += weight;
  }
  return sum / weights;
}

static void need_judgement(Evaluation *e) {
  const Trust *t = &e->model->trust;
  double log_eta = t->beta[0] + t->quantile;
  size_t i = 0;
  if (e->judged) return;
  place_query(e);
  if (t->with_statistic) {
    log_eta += t->beta[1] * larger(log(larger(statistic(e), LEAST)), t->floors[0]);
    i = 1;
  }
  log_eta += t->beta[1 + i] * larger(log(larger(e->distance, LEAST)), t->floors[i]);
  if (t->part != 0.0) log_eta += t->part * local_mean(e);
  e->eta = exp(log_eta < 300.0 ? log_eta : 300.0);
  e->judged = 1;
}

static double lifted(Evaluation *e, size_t index) {
  const Model *m = e->model;
  size_t rows = m->block[COEFFICIENT_BLOCK].rows;
  return m->centre[index]
         + product(m->modes + index * rows, need_values(e, COEFFICIENT_BLOCK), rows);
}

double output_value(Evaluation *e, size_t i) {
  const Output *output = &e->model->output[i];
  switch (output->source) {
  case SERIES:
    return need_values(e, SERIES_BLOCK)[output->index];
  case SINGLE:
    return need_values(e, SINGLE_BLOCK)[output->index];
  case LIFTED:
    return lifted(e, output->index);
  default:
    need_judgement(e);
  }
  if (output->source == INDICATOR) return e->eta;
  if (output->source == IN_RANGE) return e->score <= 1.0 ? 1.0 : 0.0;
  return output->source == SCORE ? e->score : e->distance;
}

void set_parameter(Evaluation *e, size_t i, double value) {
  size_t which;
  if (e->mu[i] == value) return;
  e->mu[i] = value;
  e->u[i] = unit(&e->model->input[i], value);
  e->judged = e->deviation_known = 0;
  for (which = 0; which < BLOCKS; which++) e->weights_known[which] = e->values_known[which] = 0;
}

void set_time(Evaluation *e, double time) {
  const Model *m = e->model;
  double within = time < m->first ? m->first : time > m->last ? m->last : time;
  if (e->time == within) return;
  e->time = within;
  e->values_known[SERIES_BLOCK] = e->values_known[COEFFICIENT_BLOCK] = 0;
}

static double *numbers(size_t count) { return calloc(count + 1, sizeof(double)); }

Evaluation *new_evaluation(const Model *model) {
  Evaluation *e = calloc(1, sizeof(Evaluation));
  size_t i, points = 0, columns = 0;
  int complete;
  if (!e) return NULL;
  e->model = model;
  e->time = model->first;
  for (i = 0; i < BLOCKS; i++) {
    const Block *b = &model->block[i];
    if (b->regression.points > points) points = b->regression.points;
    if (b->columns > columns) columns = b->columns;
    e->b[i] = numbers(b->regression.outputs);
    e->values[i] = numbers(b->rows);
  }
  e->mu = numbers(model->inputs);
  e->u = numbers(model->inputs);
  e->deviation = numbers(model->block[COEFFICIENT_BLOCK].regression.outputs);
  e->kernel = numbers(points);
  e->spline = numbers(columns);
  e->squares = numbers(model->points);
  complete = e->mu && e->u && e->deviation && e->kernel && e->spline && e->squares;
  for (i = 0; i < BLOCKS; i++) complete = complete && e->b[i] && e->values[i];
  if (!complete) {
    free_evaluation(e);
    return NULL;
  }
  for (i = 0; i < model->inputs; i++) {
    e->mu[i] = HUGE_VAL; /* so that the first value is another one */
    set_parameter(e, i, 0.0);
  }
  return e;
}

void free_evaluation(Evaluation *e) {
  size_t i;
  if (!e) return;
  for (i = 0; i < BLOCKS; i++) {
    free(e->b[i]);
    free(e->values[i]);
  }
  free(e->mu);
  free(e->u);
  free(e->deviation);
  free(e->kernel);
  free(e->spline);
  free(e->squares);
  free(e);
}
