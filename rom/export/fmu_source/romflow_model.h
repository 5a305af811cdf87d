/* The numbers of a reduced model, and an instance that evaluates it.

   The file resources/model.bin holds doubles only, little-endian; rom/export/fmu_numbers.py writes
   it, in the order in which reader.c reads it: a number of the format, a checksum of what follows,
   the rest. Nothing here depends on the model: the same library
   serves all of them. */

#ifndef ROMFLOW_MODEL_H
#define ROMFLOW_MODEL_H

#include <stddef.h>

#define FORMAT 2.0

enum scale { LINEAR = 0, LOGARITHMIC = 1, NORMAL = 2 };
enum method { GAUSSIAN_PROCESS = 0, RADIAL_BASIS = 1 };
enum source { SERIES = 0, SINGLE = 1, LIFTED = 2, INDICATOR = 3, IN_RANGE = 4, SCORE = 5,
              DISTANCE = 6 };
enum block_name { SERIES_BLOCK = 0, SINGLE_BLOCK = 1, COEFFICIENT_BLOCK = 2, BLOCKS = 3 };

/* One parameter: unit coordinate u of a value. `extra`: ln(high / low), or the probability of the
   interval. `start`: until another is set. */
typedef struct {
  enum scale scale;
  double low, width, extra, start;
} Input;

/* A regression over the parameters: `outputs` numbers b(u), and their deviations. */
typedef struct {
  enum method method;
  size_t outputs, kernels, points;
  const double *mean, *scale; /* (outputs) */
  const double *x;            /* (points, inputs) */
  const double *weights;      /* (outputs, points) */
  const double *sharp;        /* (kernels, inputs): 5 / length^2 */
  const double *prior, *squared, *noise; /* (kernels) */
  const double *variance;     /* (outputs) */
  const double *factors;      /* (kernels, points (points + 1) / 2): inverse Cholesky factors */
  double power, sign;         /* of a radial basis */
  size_t monomials;
  const double *exponents;    /* (monomials, inputs) */
  const double *tail;         /* (monomials, outputs) */
} Regression;

/* Coefficients in time: means and modes are splines, the regression gives the weights of modes. */
typedef struct {
  int present;
  Regression regression;
  size_t rows, modes;         /* modes: the most that a row has */
  const double *places;       /* (rows, modes): which of the weights, -1: none */
  const double *scale, *shift; /* (rows) */
  size_t pieces, degree, columns;
  const double *starts;       /* (pieces) */
  const double *polynomials;  /* (pieces, degree + 1, columns), highest power first */
} Block;

typedef struct {
  size_t features, pairs, weights;
  const double *beta, *floors, *residuals; /* (1 + features), (features), (pairs) */
  double quantile, width, part;
  int with_statistic;
  double square, constant;     /* |c|^2, and the constant of the mean squared norm */
  const double *above;         /* (weights): of the variances of modes */
  const double *twice, *once;  /* (weights, weights), (weights) */
} Trust;

typedef struct {
  enum source source;
  size_t index;
} Output;

typedef struct {
  double *numbers; /* all of the file; the pointers above lead into it */
  size_t inputs, outputs, lifted, points;
  Input *input;
  double first, last;
  const double *x; /* training points in unit coordinates, (points, inputs) */
  double limit, spacing;
  Block block[BLOCKS];
  Trust trust;
  const double *centre, *modes; /* (lifted), (lifted, rows of coefficients) */
  Output *output;
} Model;

/* What is evaluated: parameters and time. What has been computed is kept until they change. */
typedef struct {
  const Model *model;
  double *mu, *u; /* (inputs) */
  double time;
  double *b[BLOCKS], *deviation, *values[BLOCKS];
  int weights_known[BLOCKS], values_known[BLOCKS], deviation_known, judged;
  double *kernel, *spline, *squares;
  double eta, score, distance;
} Evaluation;

/* Return a model, or NULL with a message of at most 200 characters. */
Model *read_model(const char *path, char *message);
void free_model(Model *model);

Evaluation *new_evaluation(const Model *model);
void free_evaluation(Evaluation *evaluation);
void set_parameter(Evaluation *evaluation, size_t i, double value);
void set_time(Evaluation *evaluation, double time);
double output_value(Evaluation *evaluation, size_t i);

#endif
