/* The interface FMI 2.0 for co-simulation of a reduced model (Modelica Association: Functional
   Mock-up Interface for Model Exchange and Co-Simulation, version 2.0.4, 2022).

   Value references: 0 ... inputs - 1 are the parameters, those behind them the outputs. */

#include "romflow_model.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef _WIN32
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

typedef void *fmi2Component, *fmi2ComponentEnvironment, *fmi2FMUstate;
typedef unsigned int fmi2ValueReference;
typedef double fmi2Real;
typedef int fmi2Integer, fmi2Boolean;
typedef char fmi2Char, fmi2Byte;
typedef const fmi2Char *fmi2String;
typedef enum { fmi2OK, fmi2Warning, fmi2Discard, fmi2Error, fmi2Fatal, fmi2Pending } fmi2Status;
typedef enum { fmi2ModelExchange, fmi2CoSimulation } fmi2Type;
typedef enum { fmi2DoStepStatus, fmi2PendingStatus, fmi2LastSuccessfulTime, fmi2Terminated }
  fmi2StatusKind;
typedef void (*Logger)(fmi2ComponentEnvironment, fmi2String, fmi2Status, fmi2String, fmi2String,
                       ...);
typedef struct {
  Logger logger;
  void *(*allocateMemory)(size_t, size_t);
  void (*freeMemory)(void *);
  void (*stepFinished)(fmi2ComponentEnvironment, fmi2Status);
  fmi2ComponentEnvironment componentEnvironment;
} fmi2CallbackFunctions;

typedef struct {
  Model *model;
  Evaluation *evaluation;
  char *name;
  Logger logger;
  fmi2ComponentEnvironment environment;
  double time;
} Instance;

static fmi2Status say(const Instance *f, fmi2Status status, const char *format, ...) {
  char text[400];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  if (f->logger)
    f->logger(f->environment, f->name, status, "logStatusError", "%s", text);
  return status;
}

/* ---- beginning and end ---------------------------------------------------------------------- */

EXPORT const char *fmi2GetTypesPlatform(void) { return "default"; }

EXPORT const char *fmi2GetVersion(void) { return "2.0"; }

static int hexadecimal(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/* The path of a file in the folder that a URI names, as file:/..., file:///... or a path. */
static char *resource(const char *location, const char *file) {
  char *path = malloc(strlen(location) + strlen(file) + 2), *to = path;
  if (!path) return NULL;
  if (strncmp(location, "file:", 5) == 0) {
    location += 5;
    if (strncmp(location, "//", 2) == 0) {
      location += 2;
      if (strncmp(location, "localhost/", 10) == 0) location += 9;
    }
#ifdef _WIN32
    if (*location == '/') location++;
#endif
    for (; *location; location++) {
      int high = -1, low = -1;
      if (*location == '%' && (high = hexadecimal(location[1])) >= 0)
        low = hexadecimal(location[2]);
      *to++ = low >= 0 ? (char)(16 * high + low) : *location;
      if (low >= 0) location += 2;
    }
  } else {
    strcpy(to, location);
    to += strlen(location);
  }
  *to++ = '/';
  strcpy(to, file);
  return path;
}

static void free_instance(Instance *f) {
  if (!f) return;
  free_evaluation(f->evaluation);
  free_model(f->model);
  free(f->name);
  free(f);
}

static void set_start_values(Instance *f) {
  size_t i;
  for (i = 0; i < f->model->inputs; i++)
    set_parameter(f->evaluation, i, f->model->input[i].start);
  set_time(f->evaluation, f->model->first);
  f->time = f->model->first;
}

EXPORT fmi2Component fmi2Instantiate(fmi2String name, fmi2Type type, fmi2String guid,
                                     fmi2String location, const fmi2CallbackFunctions *functions,
                                     fmi2Boolean visible, fmi2Boolean logging) {
  Instance *f = calloc(1, sizeof(Instance));
  char message[200] = "Expected memory for an instance; there is none.", *path;
  (void)guid;
  (void)visible;
  (void)logging;
  if (!f) return NULL;
  f->name = calloc(strlen(name) + 1, 1);
  if (f->name) strcpy(f->name, name);
  if (functions) {
    f->logger = functions->logger;
    f->environment = functions->componentEnvironment;
  }
  if (type != fmi2CoSimulation || !location) {
    say(f, fmi2Error, "Expected co-simulation, and the location of the resources.");
    free_instance(f);
    return NULL;
  }
  path = resource(location, "model.bin");
  f->model = path ? read_model(path, message) : NULL;
  free(path);
  if (f->model) f->evaluation = new_evaluation(f->model);
  if (!f->name || !f->evaluation) {
    say(f, fmi2Error, "%s", message);
    free_instance(f);
    return NULL;
  }
  set_start_values(f);
  return f;
}

EXPORT void fmi2FreeInstance(fmi2Component c) { free_instance(c); }

EXPORT fmi2Status fmi2SetDebugLogging(fmi2Component c, fmi2Boolean on, size_t n,
                                      const fmi2String categories[]) {
  (void)c, (void)on, (void)n, (void)categories;
  return fmi2OK;
}

/* Time may lie a rounding error outside. */
static fmi2Status move_to(Instance *f, double time) {
  const Model *m = f->model;
  double slack = 1e-6 * (m->last - m->first);
  if (!isfinite(time)) return say(f, fmi2Error, "Expected a finite time; received another.");
  if (m->last > m->first && !(time >= m->first - slack && time <= m->last + slack))
    return say(f, fmi2Error, "Expected times from %g to %g s, those of the training; received %g.",
               m->first, m->last, time);
  f->time = time;
  set_time(f->evaluation, time);
  return fmi2OK;
}

EXPORT fmi2Status fmi2SetupExperiment(fmi2Component c, fmi2Boolean with_tolerance,
                                      fmi2Real tolerance, fmi2Real start, fmi2Boolean with_stop,
                                      fmi2Real stop) {
  (void)with_tolerance, (void)tolerance, (void)with_stop, (void)stop;
  return move_to(c, start);
}

EXPORT fmi2Status fmi2EnterInitializationMode(fmi2Component c) { (void)c; return fmi2OK; }
EXPORT fmi2Status fmi2ExitInitializationMode(fmi2Component c) { (void)c; return fmi2OK; }
EXPORT fmi2Status fmi2Terminate(fmi2Component c) { (void)c; return fmi2OK; }

EXPORT fmi2Status fmi2Reset(fmi2Component c) {
  set_start_values(c);
  return fmi2OK;
}

/* ---- values --------------------------------------------------------------------------------- */

static int is_boolean(const Model *m, size_t output) {
  return m->output[output].source == IN_RANGE;
}

static fmi2Status unknown(const Instance *f, const char *kind, fmi2ValueReference v) {
  return say(f, fmi2Error, "Expected the reference of a %s variable; received %u.", kind, v);
}

EXPORT fmi2Status fmi2GetReal(fmi2Component c, const fmi2ValueReference v[], size_t n,
                              fmi2Real value[]) {
  Instance *f = c;
  const Model *m = f->model;
  size_t i;
  for (i = 0; i < n; i++) {
    if (v[i] < m->inputs)
      value[i] = f->evaluation->mu[v[i]];
    else if (v[i] < m->inputs + m->outputs && !is_boolean(m, v[i] - m->inputs))
      value[i] = output_value(f->evaluation, v[i] - m->inputs);
    else
      return unknown(f, "real", v[i]);
  }
  return fmi2OK;
}

EXPORT fmi2Status fmi2GetBoolean(fmi2Component c, const fmi2ValueReference v[], size_t n,
                                 fmi2Boolean value[]) {
  Instance *f = c;
  const Model *m = f->model;
  size_t i;
  for (i = 0; i < n; i++) {
    if (v[i] < m->inputs || v[i] >= m->inputs + m->outputs || !is_boolean(m, v[i] - m->inputs))
      return unknown(f, "Boolean", v[i]);
    value[i] = output_value(f->evaluation, v[i] - m->inputs) != 0.0;
  }
  return fmi2OK;
}

EXPORT fmi2Status fmi2SetReal(fmi2Component c, const fmi2ValueReference v[], size_t n,
                              const fmi2Real value[]) {
  Instance *f = c;
  size_t i;
  for (i = 0; i < n; i++) {
    if (v[i] >= f->model->inputs) return unknown(f, "real input", v[i]);
    if (!isfinite(value[i]))
      return say(f, fmi2Error, "Expected finite parameters; received NaN or infinity for %u.",
                 v[i]);
    set_parameter(f->evaluation, v[i], value[i]);
  }
  return fmi2OK;
}

#define NO_SUCH(name, ctype, kind)                                                               \
  EXPORT fmi2Status name(fmi2Component c, const fmi2ValueReference v[], size_t n, ctype value[]) { \
    (void)value;                                                                                 \
    return n ? unknown(c, kind, v[0]) : fmi2OK;                                                  \
  }

NO_SUCH(fmi2GetInteger, fmi2Integer, "integer")
NO_SUCH(fmi2SetInteger, const fmi2Integer, "integer")
NO_SUCH(fmi2SetBoolean, const fmi2Boolean, "Boolean input")
NO_SUCH(fmi2GetString, fmi2String, "text")
NO_SUCH(fmi2SetString, const fmi2String, "text")

/* ---- steps ---------------------------------------------------------------------------------- */

EXPORT fmi2Status fmi2DoStep(fmi2Component c, fmi2Real at, fmi2Real step, fmi2Boolean no_return) {
  (void)no_return;
  return move_to(c, at + step);
}

EXPORT fmi2Status fmi2CancelStep(fmi2Component c) {
  return say(c, fmi2Error, "Expected no step under way; steps end at once.");
}

EXPORT fmi2Status fmi2GetStatus(fmi2Component c, const fmi2StatusKind kind, fmi2Status *value) {
  (void)c, (void)kind;
  *value = fmi2OK;
  return fmi2OK;
}

EXPORT fmi2Status fmi2GetRealStatus(fmi2Component c, const fmi2StatusKind kind, fmi2Real *value) {
  if (kind != fmi2LastSuccessfulTime) return fmi2Discard;
  *value = ((Instance *)c)->time;
  return fmi2OK;
}

EXPORT fmi2Status fmi2GetIntegerStatus(fmi2Component c, const fmi2StatusKind kind,
                                       fmi2Integer *value) {
  (void)c, (void)kind, (void)value;
  return fmi2Discard;
}

EXPORT fmi2Status fmi2GetBooleanStatus(fmi2Component c, const fmi2StatusKind kind,
                                       fmi2Boolean *value) {
  (void)c;
  if (kind != fmi2Terminated) return fmi2Discard;
  *value = 0;
  return fmi2OK;
}

EXPORT fmi2Status fmi2GetStringStatus(fmi2Component c, const fmi2StatusKind kind,
                                      fmi2String *value) {
  (void)c, (void)kind, (void)value;
  return fmi2Discard;
}

EXPORT fmi2Status fmi2SetRealInputDerivatives(fmi2Component c, const fmi2ValueReference v[],
                                              size_t n, const fmi2Integer order[],
                                              const fmi2Real value[]) {
  (void)v, (void)n, (void)order, (void)value;
  return say(c, fmi2Error, "Expected inputs without derivatives, as the description says.");
}

EXPORT fmi2Status fmi2GetRealOutputDerivatives(fmi2Component c, const fmi2ValueReference v[],
                                               size_t n, const fmi2Integer order[],
                                               fmi2Real value[]) {
  (void)v, (void)n, (void)order, (void)value;
  return say(c, fmi2Error, "Expected outputs without derivatives, as the description says.");
}

EXPORT fmi2Status fmi2GetDirectionalDerivative(fmi2Component c, const fmi2ValueReference unknowns[],
                                               size_t n, const fmi2ValueReference known[],
                                               size_t k, const fmi2Real seed[], fmi2Real value[]) {
  (void)unknowns, (void)n, (void)known, (void)k, (void)seed, (void)value;
  return say(c, fmi2Error, "Expected no derivatives, as the description says.");
}

/* ---- states: the time and the inputs -------------------------------------------------------- */

static size_t state_length(const Instance *f) { return (f->model->inputs + 1) * sizeof(double); }

EXPORT fmi2Status fmi2GetFMUstate(fmi2Component c, fmi2FMUstate *state) {
  Instance *f = c;
  double *kept = *state ? *state : malloc(state_length(f));
  if (!kept) return say(f, fmi2Error, "Expected memory for a state; there is none.");
  kept[0] = f->time;
  memcpy(kept + 1, f->evaluation->mu, state_length(f) - sizeof(double));
  *state = kept;
  return fmi2OK;
}

EXPORT fmi2Status fmi2SetFMUstate(fmi2Component c, fmi2FMUstate state) {
  Instance *f = c;
  const double *kept = state;
  size_t i;
  for (i = 0; i <= f->model->inputs; i++)
    if (!isfinite(kept[i])) return say(f, fmi2Error, "Expected a state of finite numbers.");
  for (i = 0; i < f->model->inputs; i++) set_parameter(f->evaluation, i, kept[i + 1]);
  return move_to(f, kept[0]);
}

EXPORT fmi2Status fmi2FreeFMUstate(fmi2Component c, fmi2FMUstate *state) {
  (void)c;
  free(*state);
  *state = NULL;
  return fmi2OK;
}

EXPORT fmi2Status fmi2SerializedFMUstateSize(fmi2Component c, fmi2FMUstate state, size_t *size) {
  (void)state;
  *size = state_length(c);
  return fmi2OK;
}

EXPORT fmi2Status fmi2SerializeFMUstate(fmi2Component c, fmi2FMUstate state, fmi2Byte bytes[],
                                        size_t size) {
  if (size < state_length(c)) return say(c, fmi2Error, "Expected a longer array for the state.");
  memcpy(bytes, state, state_length(c));
  return fmi2OK;
}

EXPORT fmi2Status fmi2DeSerializeFMUstate(fmi2Component c, const fmi2Byte bytes[], size_t size,
                                          fmi2FMUstate *state) {
  double *kept;
  if (size != state_length(c)) return say(c, fmi2Error, "Expected a state of this model.");
  kept = *state ? *state : malloc(size);
  if (!kept) return say(c, fmi2Error, "Expected memory for a state; there is none.");
  memcpy(kept, bytes, size);
  *state = kept;
  return fmi2OK;
}
