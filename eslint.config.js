import js from '@eslint/js';
import globals from 'globals';

const STATIC = 'mobilesam/web/static';

/** Imports go main -> panels, io -> canvas -> core; panels and io do not import each other. Only io imports decoder/, which imports nothing. */
const layer = (name, forbidden) => ({
  files: [`${STATIC}/${name}/**/*.js`],
  rules: {
    'no-restricted-imports': ['error', {
      patterns: [
        {regex: `/(${forbidden.join('|')})/|/main\\.js$`, message: `${name}/ must not import from ${forbidden.join('/, ')}/ or main.js.`},
        {regex: '^[^.]', message: 'The browser resolves relative paths only.'},
      ],
    }],
  },
});

export default [
  {ignores: ['.venv/', 'node_modules/', 'docs/', '**/*.min.js']},
  js.configs.recommended,
  {
    languageOptions: {ecmaVersion: 2022, sourceType: 'module'},
    rules: {
      'eqeqeq': 'error',
      'no-unused-vars': 'error',
      'no-var': 'error',
      'prefer-const': 'error',
    },
  },
  {files: [`${STATIC}/**/*.js`], languageOptions: {globals: globals.browser}},
  {files: ['tests/js/**/*.js', 'eslint.config.js'], languageOptions: {globals: globals.nodeBuiltin}},
  layer('core', ['canvas', 'panels', 'io', 'decoder']),
  layer('canvas', ['panels', 'io', 'decoder']),
  layer('panels', ['io', 'decoder']),
  layer('io', ['panels']),
  layer('decoder', ['core', 'canvas', 'panels', 'io']),
];
