/* Solves a system from PETSc's binary files by PETSc, for scripts/matrix-table.py:

       petsc-solve MATRIX [RHS] -ksp_type cg -pc_type icc ...

   Without RHS, b = A * ones. Prints one JSON object; relres is |b - A x| / |b|, computed at the end. */

#include <petscksp.h>

static PetscErrorCode load(const char *path, Mat *A, Vec *b)
{
  PetscViewer viewer;
  PetscCall(PetscViewerBinaryOpen(PETSC_COMM_WORLD, path, FILE_MODE_READ, &viewer));
  PetscCall(A ? MatLoad(*A, viewer) : VecLoad(*b, viewer));
  return PetscViewerDestroy(&viewer);
}

static PetscErrorCode solve(Mat A, Vec b, Vec x, Vec r)
{
  KSP                ksp;
  KSPConvergedReason reason;
  PetscInt           its;
  PetscReal          residual, size;
  PetscCall(KSPCreate(PETSC_COMM_WORLD, &ksp));
  PetscCall(KSPSetOperators(ksp, A, A));
  PetscCall(KSPSetTolerances(ksp, 1e-8, 0.0, PETSC_DEFAULT, 3000));
  PetscCall(KSPSetFromOptions(ksp));
  PetscCall(KSPSolve(ksp, b, x));
  PetscCall(KSPGetIterationNumber(ksp, &its));
  PetscCall(KSPGetConvergedReason(ksp, &reason));
  PetscCall(MatMult(A, x, r));
  PetscCall(VecAYPX(r, -1.0, b));
  PetscCall(VecNorm(r, NORM_2, &residual));
  PetscCall(VecNorm(b, NORM_2, &size));
  PetscCall(PetscPrintf(PETSC_COMM_WORLD, "{\"its\": %d, \"reason\": %d, \"relres\": \"%g\"}\n", (int)its, (int)reason,
                        (double)(residual / size)));
  return KSPDestroy(&ksp);
}

int main(int argc, char **argv)
{
  Mat A;
  Vec b, x, r;
  PetscCall(PetscInitialize(&argc, &argv, NULL, NULL));
  PetscCall(MatCreate(PETSC_COMM_WORLD, &A));
  PetscCall(MatSetType(A, MATAIJ));
  PetscCall(load(argv[1], &A, NULL));
  PetscCall(MatCreateVecs(A, &x, &b));
  PetscCall(VecDuplicate(b, &r));
  if (argc > 2 && argv[2][0] != '-') {
    PetscCall(load(argv[2], NULL, &b));
  } else {
    PetscCall(VecSet(x, 1.0));
    PetscCall(MatMult(A, x, b));
  }
  PetscCall(VecSet(x, 0.0));
  PetscCall(solve(A, b, x, r));
  PetscCall(PetscFinalize());
  return 0;
}
