/* Reads resources/model.bin; see romflow_model.h. */

#include "romflow_model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* What is left of the numbers. `bad` once more was asked for than there is. */
typedef struct {
  const double *next;
  size_t left;
  int bad;
} Numbers;

static const double ZERO = 0.0;

static const double *take(Numbers *n, size_t count) {
  const double *found = n->next;
  if (n->bad || count > n->left) {
    n->bad = 1;
    return &ZERO;
  }
  n->next += count;
  n->left -= count;
  return found;
}

static double number(Numbers *n) { return *take(n, 1); }

static size_t size(Numbers *n) {
  double value = number(n);
  if (!(value >= 0.0 && value <= 1e9)) {
    n->bad = 1;
    return 0;
  }
  return (size_t)value;
}

static const double *table(Numbers *n, size_t rows, size_t columns) {
  return take(n, rows * columns);
}

static void read_regression(Numbers *n, Regression *r, size_t inputs) {
  r->method = (enum method)size(n);
  r->outputs = size(n);
  r->kernels = size(n);
  r->points = size(n);
  r->mean = take(n, r->outputs);
  r->scale = take(n, r->outputs);
  r->x = table(n, r->points, inputs);
  r->weights = table(n, r->outputs, r->points);
  if (r->method == GAUSSIAN_PROCESS) {
    r->sharp = table(n, r->kernels, inputs);
    r->prior = take(n, r->kernels);
    r->squared = take(n, r->kernels);
    r->noise = take(n, r->kernels);
    r->variance = take(n, r->outputs);
    r->factors = table(n, r->kernels, size(n));
  } else {
    r->power = number(n);
    r->sign = number(n);
    r->monomials = size(n);
    r->exponents = table(n, r->monomials, inputs);
    r->tail = table(n, r->monomials, r->outputs);
  }
}

static void read_block(Numbers *n, Block *b, size_t inputs) {
  b->present = (int)size(n);
  if (!b->present) return;
  read_regression(n, &b->regression, inputs);
  b->rows = size(n);
  b->modes = size(n);
  b->places = table(n, b->rows, b->modes);
  b->scale = take(n, b->rows);
  b->shift = take(n, b->rows);
  b->pieces = size(n);
  b->degree = size(n);
  b->columns = b->rows * (1 + b->modes);
  b->starts = take(n, b->pieces);
  b->polynomials = table(n, b->pieces * (b->degree + 1), b->columns);
}

static void read_trust(Numbers *n, Trust *t) {
  t->features = size(n);
  t->beta = take(n, 1 + t->features);
  t->floors = take(n, t->features);
  t->quantile = number(n);
  t->width = number(n);
  t->part = number(n);
  t->pairs = size(n);
  t->residuals = take(n, t->pairs);
  t->with_statistic = t->features == 2;
  if (!t->with_statistic) return;
  t->square = number(n);
  t->constant = number(n);
  t->weights = size(n);
  t->above = take(n, t->weights);
  t->twice = table(n, t->weights, t->weights);
  t->once = take(n, t->weights);
}

/* CRC-32 as of ZIP files. */
static unsigned long checksum(const unsigned char *bytes, size_t count) {
  unsigned long crc = 0xffffffffUL;
  size_t i;
  int bit;
  for (i = 0; i < count; i++) {
    crc ^= bytes[i];
    for (bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (crc & 1 ? 0xedb88320UL : 0);
  }
  return crc ^ 0xffffffffUL;
}

static int is_whole(Numbers *n) {
  double expected;
  if (number(n) != FORMAT) return 0;
  expected = number(n);
  return !n->bad
         && (double)checksum((const unsigned char *)n->next, n->left * sizeof(double)) == expected;
}

static int read_all(Numbers *n, Model *m) {
  size_t i;
  if (!is_whole(n)) return 0;
  m->inputs = size(n);
  m->outputs = size(n);
  m->input = calloc(m->inputs + 1, sizeof(Input));
  m->output = calloc(m->outputs + 1, sizeof(Output));
  if (n->bad || !m->input || !m->output) return 0;
  for (i = 0; i < m->inputs; i++) {
    m->input[i].scale = (enum scale)size(n);
    m->input[i].low = number(n);
    m->input[i].width = number(n);
    m->input[i].extra = number(n);
    m->input[i].start = number(n);
  }
  for (i = 0; i < m->outputs; i++) {
    m->output[i].source = (enum source)size(n);
    m->output[i].index = size(n);
  }
  m->first = number(n);
  m->last = number(n);
  m->points = size(n);
  m->x = table(n, m->points, m->inputs);
  m->limit = number(n);
  m->spacing = number(n);
  for (i = 0; i < BLOCKS; i++) read_block(n, &m->block[i], m->inputs);
  read_trust(n, &m->trust);
  m->lifted = size(n);
  m->centre = take(n, m->lifted);
  m->modes = table(n, m->lifted, m->block[COEFFICIENT_BLOCK].rows);
  return !n->bad && n->left == 0;
}

static double *read_file(const char *path, size_t *count) {
  double *numbers = NULL;
  long bytes;
  FILE *file = fopen(path, "rb");
  if (!file) return NULL;
  if (fseek(file, 0, SEEK_END) == 0 && (bytes = ftell(file)) > 0 && fseek(file, 0, SEEK_SET) == 0) {
    *count = (size_t)bytes / sizeof(double);
    numbers = malloc(*count * sizeof(double) + 1);
    if (numbers && fread(numbers, sizeof(double), *count, file) != *count) {
      free(numbers);
      numbers = NULL;
    }
  }
  fclose(file);
  return numbers;
}

Model *read_model(const char *path, char *message) {
  Numbers n = {NULL, 0, 0};
  Model *m = calloc(1, sizeof(Model));
  if (!m) return NULL;
  m->numbers = read_file(path, &n.left);
  n.next = m->numbers;
  if (!m->numbers || !read_all(&n, m)) {
    snprintf(message, 200, "Expected the numbers of a reduced model in resources/model.bin; "
             "the file is missing or damaged. Export the model again.");
    free_model(m);
    return NULL;
  }
  return m;
}

void free_model(Model *model) {
  if (!model) return;
  free(model->numbers);
  free(model->input);
  free(model->output);
  free(model);
}
